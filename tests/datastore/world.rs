//! Stores to act on, each seen from several places.

use std::path::Path;

use ipip_core::datastore::{
    Commit, Memory, Outcome, Revision, Sqlite, SqliteOptions, Store, StoreError,
};

use crate::remote::Remote;
use crate::scratch::Scratch;

/// Which store, and from where.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Memory,
    File,
    /// Two handles on one file.
    Handles,
    /// This process and two more.
    Processes,
}

pub(crate) const KINDS: &[Kind] = &[Kind::Memory, Kind::File, Kind::Handles, Kind::Processes];

/// So many commits a world's stores remember for watchers.
pub(crate) const HISTORY: u32 = 256;

/// One store and the views of it.
pub(crate) struct World {
    views: Vec<Box<dyn Store>>,
    _scratch: Option<Scratch>,
}

impl World {
    pub(crate) fn new(kind: Kind) -> Self {
        if kind == Kind::Memory {
            return Self {
                views: vec![Box::new(Memory::with_history(HISTORY))],
                _scratch: None,
            };
        }
        let scratch = Scratch::new();
        let path = scratch.file("store");
        let mut views: Vec<Box<dyn Store>> = vec![Box::new(open(&path))];
        match kind {
            Kind::Handles => views.push(Box::new(open(&path))),
            Kind::Processes => {
                views.push(Box::new(Remote::new(&path)));
                views.push(Box::new(Remote::new(&path)));
            }
            Kind::Memory | Kind::File => {}
        }
        let scratch = Some(scratch);
        Self {
            views,
            _scratch: scratch,
        }
    }

    /// The store from the place `number`; places repeat.
    pub(crate) fn view(&self, number: usize) -> &dyn Store {
        &*self.views[number % self.views.len()]
    }
}

pub(crate) fn options() -> SqliteOptions {
    SqliteOptions {
        history: HISTORY,
        ..SqliteOptions::default()
    }
}

pub(crate) fn open(path: &Path) -> Sqlite {
    Sqlite::open(path, options()).unwrap()
}

/// A commit that puts each of these keys with a value, and compares nothing.
pub(crate) fn puts(pairs: &[(&str, &str)]) -> Commit {
    let mut commit = Commit::new();
    for (key, value) in pairs {
        commit.put(key, value.as_bytes().to_vec());
    }
    commit
}

/// The revision of a commit that must land.
pub(crate) fn land(store: &dyn Store, commit: Commit) -> Revision {
    match store.commit(commit).unwrap() {
        Outcome::Committed(revision) => revision,
        Outcome::Conflict => panic!("nothing that was compared has changed"),
    }
}

pub(crate) fn put(store: &dyn Store, key: &str, value: &str) -> Revision {
    land(store, puts(&[(key, value)]))
}

pub(crate) fn value(store: &dyn Store, key: &str) -> Option<String> {
    let record = store.get(key).unwrap()?;
    Some(String::from_utf8(record.value.to_vec()).unwrap())
}

pub(crate) fn keys(store: &dyn Store, prefix: &str) -> Vec<String> {
    store.list_keys(prefix).unwrap().entries
}

/// Adds one to the number under `key`; how many conflicts there were.
pub(crate) fn increment(store: &dyn Store, key: &str) -> Result<u32, StoreError> {
    let mut conflicts = 0;
    loop {
        let record = store.get(key)?;
        let (number, revision) = record.map_or((0, None), |record| {
            let text = String::from_utf8(record.value.to_vec()).unwrap();
            (text.parse::<u64>().unwrap(), Some(record.revision))
        });
        let mut commit = Commit::new();
        commit
            .expect(key, revision)
            .put(key, (number + 1).to_string().into_bytes());
        match store.commit(commit)? {
            Outcome::Committed(_) => return Ok(conflicts),
            Outcome::Conflict => conflicts += 1,
        }
    }
}

/// Numbers that look random and are the same each time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
