//! A store of another process, by lines of JSON over its standard input and output.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout};
use std::sync::Mutex;
use std::time::Duration;

use ipip_core::datastore::{
    Change, Changes, Commit, Compare, Listing, Outcome, Record, Revision, Store, StoreError,
    Write as Put,
};
use serde_json::{Value, json};

use crate::child::{self, Started};
use crate::world;

/// The store as another process sees it.
#[derive(Debug)]
pub(crate) struct Remote(Mutex<Line>);

struct Line {
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    _child: Started,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("another process")
    }
}

impl Remote {
    pub(crate) fn new(path: &Path) -> Self {
        let mut child = child::start("serve", path);
        Self(Mutex::new(Line {
            to: child.0.stdin.take().unwrap(),
            from: BufReader::new(child.0.stdout.take().unwrap()),
            _child: child,
        }))
    }

    fn call(&self, request: &Value) -> Result<Value, StoreError> {
        let mut line = self.0.lock().unwrap();
        writeln!(line.to, "{request}").unwrap();
        let mut answer = String::new();
        line.from.read_line(&mut answer).unwrap();
        let mut answer: Value = serde_json::from_str(&answer).unwrap();
        match answer.get("error") {
            Some(error) => Err(error_from(error)),
            None => Ok(answer["ok"].take()),
        }
    }
}

/// Answers calls on the file `path` until its input ends.
pub(crate) fn serve(path: &Path) -> Result<(), String> {
    let store = world::open(path);
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| error.to_string())?;
        let request: Value = serde_json::from_str(&line).unwrap();
        child::say(&match answer(&store, &request) {
            Ok(answer) => json!({ "ok": answer }).to_string(),
            Err(error) => json!({ "error": error_to(&error) }).to_string(),
        });
    }
    Ok(())
}

fn answer(store: &dyn Store, request: &Value) -> Result<Value, StoreError> {
    let text = |name: &str| request[name].as_str().unwrap_or_default();
    Ok(match text("call") {
        "get" => json!(store.get(text("key"))?.map(|record| record_to(&record))),
        "list" => {
            let listing = store.list(text("prefix"))?;
            let entries: Vec<_> = listing.entries.iter().map(record_to).collect();
            json!([entries, listing.revision.0])
        }
        "list_keys" => {
            let listing = store.list_keys(text("prefix"))?;
            json!([listing.entries, listing.revision.0])
        }
        "commit" => match store.commit(commit_from(request))? {
            Outcome::Committed(revision) => json!(revision.0),
            Outcome::Conflict => Value::Null,
        },
        _ => {
            let wait = Duration::from_millis(request["wait"].as_u64().unwrap());
            let after = Revision(request["after"].as_u64().unwrap());
            let changes = store.watch(text("prefix"), after, wait)?;
            let told: Vec<_> = changes.changes.iter().map(change_to).collect();
            json!([told, changes.revision.0])
        }
    })
}

fn octets_to(octets: &[u8]) -> String {
    octets.iter().map(|octet| char::from(*octet)).collect()
}

/// Each octet is the character of its number.
fn octets_from(value: &Value) -> Vec<u8> {
    let characters = value.as_str().unwrap().chars();
    characters.map(|c| u8::try_from(c).unwrap()).collect()
}

fn record_to(record: &Record) -> Value {
    json!([record.key, octets_to(&record.value), record.revision.0])
}

fn record_from(value: &Value) -> Record {
    Record {
        key: value[0].as_str().unwrap().to_owned(),
        value: octets_from(&value[1]).into(),
        revision: Revision(value[2].as_u64().unwrap()),
    }
}

fn change_to(change: &Change) -> Value {
    let value = change.value.as_deref().map(octets_to);
    json!([change.key, value, change.revision.0])
}

fn commit_to(commit: &Commit) -> Value {
    let compares = commit.compares.iter().map(|compare| match compare {
        Compare::Absent(key) => json!([key]),
        Compare::Unchanged(key, revision) => json!([key, revision.0]),
    });
    let writes = commit.writes.iter().map(|write| match write {
        Put::Put(key, value) => json!([key, octets_to(value)]),
        Put::Delete(key) => json!([key]),
    });
    let (compares, writes): (Vec<_>, Vec<_>) = (compares.collect(), writes.collect());
    json!({ "call": "commit", "compares": compares, "writes": writes })
}

fn commit_from(request: &Value) -> Commit {
    let mut commit = Commit::new();
    for compare in request["compares"].as_array().unwrap() {
        let revision = compare
            .get(1)
            .map(|number| Revision(number.as_u64().unwrap()));
        commit.expect(compare[0].as_str().unwrap(), revision);
    }
    for write in request["writes"].as_array().unwrap() {
        let key = write[0].as_str().unwrap();
        match write.get(1) {
            Some(value) => commit.put(key, octets_from(value)),
            None => commit.delete(key),
        };
    }
    commit
}

/// The errors that the contract speaks of, by their fields; any other by its words.
fn error_to(error: &StoreError) -> Value {
    match error {
        StoreError::EmptyKey => json!(["EmptyKey"]),
        StoreError::RelativeKey { key } => json!(["RelativeKey", key]),
        StoreError::Prefix { prefix } => json!(["Prefix", prefix]),
        StoreError::WrittenTwice { key } => json!(["WrittenTwice", key]),
        StoreError::Compacted { after, oldest } => json!(["Compacted", after.0, oldest.0]),
        other => json!(["", other.to_string()]),
    }
}

fn error_from(error: &Value) -> StoreError {
    let text = || error[1].as_str().unwrap().to_owned();
    let revision = |at: usize| Revision(error[at].as_u64().unwrap());
    match error[0].as_str().unwrap() {
        "EmptyKey" => StoreError::EmptyKey,
        "RelativeKey" => StoreError::RelativeKey { key: text() },
        "Prefix" => StoreError::Prefix { prefix: text() },
        "WrittenTwice" => StoreError::WrittenTwice { key: text() },
        "Compacted" => StoreError::Compacted {
            after: revision(1),
            oldest: revision(2),
        },
        _ => StoreError::Failed {
            path: "another process".to_owned(),
            text: text(),
        },
    }
}

impl Store for Remote {
    fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        let found = self.call(&json!({ "call": "get", "key": key }))?;
        Ok((!found.is_null()).then(|| record_from(&found)))
    }

    fn list(&self, prefix: &str) -> Result<Listing<Record>, StoreError> {
        let found = self.call(&json!({ "call": "list", "prefix": prefix }))?;
        let entries = found[0]
            .as_array()
            .unwrap()
            .iter()
            .map(record_from)
            .collect();
        let revision = Revision(found[1].as_u64().unwrap());
        Ok(Listing { entries, revision })
    }

    fn list_keys(&self, prefix: &str) -> Result<Listing<String>, StoreError> {
        let found = self.call(&json!({ "call": "list_keys", "prefix": prefix }))?;
        let key = |key: &Value| key.as_str().unwrap().to_owned();
        let entries = found[0].as_array().unwrap().iter().map(key).collect();
        let revision = Revision(found[1].as_u64().unwrap());
        Ok(Listing { entries, revision })
    }

    fn commit(&self, commit: Commit) -> Result<Outcome, StoreError> {
        let found = self.call(&commit_to(&commit))?;
        let revision = found.as_u64().map(Revision);
        Ok(revision.map_or(Outcome::Conflict, Outcome::Committed))
    }

    fn watch(&self, prefix: &str, after: Revision, wait: Duration) -> Result<Changes, StoreError> {
        let wait = u64::try_from(wait.as_millis()).unwrap();
        let request = json!({ "call": "watch", "prefix": prefix, "after": after.0, "wait": wait });
        let found = self.call(&request)?;
        let changes = found[0].as_array().unwrap().iter().map(|change| Change {
            key: change[0].as_str().unwrap().to_owned(),
            value: (!change[1].is_null()).then(|| octets_from(&change[1]).into()),
            revision: Revision(change[2].as_u64().unwrap()),
        });
        Ok(Changes {
            changes: changes.collect(),
            revision: Revision(found[1].as_u64().unwrap()),
        })
    }
}
