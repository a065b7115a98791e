//! A store that is waited for until a deadline and no longer.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::datastore::{Changes, Commit, Listing, Outcome, Record, Revision, Store, StoreError};

/// A store behind a thread that asks it, so that whoever waits for the answer can give up. A call cannot be
/// taken back: while one that was given up still hangs, all others fail at once, and the thread ends with it.
pub(super) struct InTime {
    store: Arc<dyn Store>,
    asking: Mutex<Asking>,
}

struct Asking {
    /// When answers come too late; `None`: never.
    end: Option<Instant>,
    jobs: Option<Sender<Job>>,
    hangs: Arc<AtomicBool>,
}

type Job = Box<dyn FnOnce() + Send>;

/// Why there is no answer.
const LATE: &str = "no answer in time";

impl InTime {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        let asking = Asking {
            end: None,
            jobs: None,
            hangs: Arc::default(),
        };
        Self {
            store,
            asking: Mutex::new(asking),
        }
    }

    /// Answers that come later than `end` are not waited for from now on.
    pub(super) fn set_end(&self, end: Option<Instant>) {
        self.asking().end = end;
    }

    fn asking(&self) -> MutexGuard<'_, Asking> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let mut asking = self.asking();
        let jobs = asking.jobs()?;
        if asking.hangs.swap(true, Ordering::AcqRel) {
            asking.jobs = Some(jobs);
            return Err(late("an earlier call still waits for its answer"));
        }
        let (sender, answer) = sync_channel(1);
        let (store, hanging) = (Arc::clone(&self.store), Hanging(Arc::clone(&asking.hangs)));
        let job: Job = Box::new(move || {
            let result = call(&*store);
            // Before the answer, behind which the next call may come.
            drop(hanging);
            // Nobody may wait for it any more.
            let _ = sender.send(result);
        });
        // A job that is not taken is dropped, and its answer fails.
        if jobs.send(job).is_ok() {
            asking.jobs = Some(jobs);
        }
        let told = match asking.end {
            Some(end) => answer.recv_timeout(end.saturating_duration_since(Instant::now())),
            None => answer.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        told.unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => Err(late(LATE)),
            RecvTimeoutError::Disconnected => {
                asking.jobs = None;
                Err(late("the thread that asked it ended"))
            }
        })
    }
}

impl Asking {
    /// The worker's queue; a new worker's if there is none, or a store's panic ended it.
    fn jobs(&mut self) -> Result<Sender<Job>, StoreError> {
        self.jobs.take().map_or_else(worker, Ok)
    }
}

/// A call that has no answer yet.
struct Hanging(Arc<AtomicBool>);

impl Drop for Hanging {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// A thread that does jobs until nobody has any more for it.
fn worker() -> Result<Sender<Job>, StoreError> {
    let (jobs, queue) = channel::<Job>();
    let body = move || queue.into_iter().for_each(|job| job());
    let named = thread::Builder::new().name("ipip-store".to_owned());
    match named.spawn(body) {
        Ok(_) => Ok(jobs),
        Err(error) => Err(late(&format!("no thread to ask it: {error}"))),
    }
}

fn late(text: &str) -> StoreError {
    StoreError::Failed {
        path: "the store".to_owned(),
        text: text.to_owned(),
    }
}

impl fmt::Debug for InTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

impl Store for InTime {
    fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        let key = key.to_owned();
        self.ask(move |store| store.get(&key))
    }

    fn list(&self, prefix: &str) -> Result<Listing<Record>, StoreError> {
        let prefix = prefix.to_owned();
        self.ask(move |store| store.list(&prefix))
    }

    fn list_keys(&self, prefix: &str) -> Result<Listing<String>, StoreError> {
        let prefix = prefix.to_owned();
        self.ask(move |store| store.list_keys(&prefix))
    }

    fn commit(&self, commit: Commit) -> Result<Outcome, StoreError> {
        let answer = self.ask(move |store| store.commit(commit));
        answer.map_err(|error| match error {
            // It was sent, so it may take effect yet.
            StoreError::Failed { path, text } if text == LATE => StoreError::Unknown { path, text },
            other => other,
        })
    }

    fn watch(&self, prefix: &str, after: Revision, wait: Duration) -> Result<Changes, StoreError> {
        let prefix = prefix.to_owned();
        self.ask(move |store| store.watch(&prefix, after, wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datastore::Memory;
    use std::sync::mpsc::Receiver;

    /// A store that answers once it is told to; a panic for those that are told so.
    #[derive(Debug)]
    struct Slow(Memory, Mutex<Receiver<bool>>);

    impl Slow {
        fn go_on(&self) -> &Memory {
            assert!(self.1.lock().unwrap().recv().unwrap(), "told to fail");
            &self.0
        }
    }

    impl Store for Slow {
        fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
            self.go_on().get(key)
        }
        fn list(&self, prefix: &str) -> Result<Listing<Record>, StoreError> {
            self.go_on().list(prefix)
        }
        fn list_keys(&self, prefix: &str) -> Result<Listing<String>, StoreError> {
            self.go_on().list_keys(prefix)
        }
        fn commit(&self, commit: Commit) -> Result<Outcome, StoreError> {
            self.go_on().commit(commit)
        }
        fn watch(
            &self,
            prefix: &str,
            after: Revision,
            wait: Duration,
        ) -> Result<Changes, StoreError> {
            self.go_on().watch(prefix, after, wait)
        }
    }

    #[test]
    fn an_answer_that_does_not_come_is_given_up_and_what_hangs_is_one_call() {
        let (tell, told) = channel();
        let slow: Arc<Slow> = Arc::new(Slow(Memory::new(), Mutex::new(told)));
        let store = InTime::new(Arc::clone(&slow) as Arc<dyn Store>);
        tell.send(true).unwrap();
        assert_eq!(store.get("/a"), Ok(None));
        store.set_end(Some(Instant::now()));
        let mut commit = Commit::new();
        commit.put("/a", b"{}".to_vec());
        let unknown = store.commit(commit).unwrap_err();
        assert!(matches!(unknown, StoreError::Unknown { .. }), "{unknown}");
        store.set_end(None);
        for _ in 0..3 {
            let refused = store.list("/").unwrap_err().to_string();
            assert!(refused.contains("earlier call"), "{refused}");
        }
        // The commit was under way all the time.
        tell.send(true).unwrap();
        while store.asking().hangs.load(Ordering::Acquire) {
            thread::yield_now();
        }
        tell.send(true).unwrap();
        assert_eq!(store.list_keys("/").unwrap().entries, ["/a"]);
    }

    #[test]
    fn a_store_that_panics_is_asked_again() {
        let (tell, told) = channel();
        let slow: Arc<Slow> = Arc::new(Slow(Memory::new(), Mutex::new(told)));
        let store = InTime::new(Arc::clone(&slow) as Arc<dyn Store>);
        tell.send(false).unwrap();
        let ended = store.get("/a").unwrap_err().to_string();
        assert!(ended.contains("thread"), "{ended}");
        tell.send(true).unwrap();
        assert_eq!(store.get("/a"), Ok(None));
    }
}
