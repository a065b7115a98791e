//! Files that are refused, locked, or taken away; Python's sqlite3 makes and locks them, in a process of
//! its own.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ipip_core::datastore::{Outcome, Revision, Sqlite, SqliteOptions, Store, StoreError};

use crate::Test;
use crate::child::{self, Started};
use crate::scratch::Scratch;
use crate::world::{Random, keys, open, options, put, puts, value};

pub(crate) const TESTS: &[Test] = &[
    (
        "what_is_no_store_of_ours_is_refused_and_left",
        what_is_no_store_of_ours_is_refused_and_left,
    ),
    ("where_no_file_can_be_is_said", where_no_file_can_be_is_said),
    ("a_truncated_file_is_refused", a_truncated_file_is_refused),
    (
        "damage_is_found_and_never_a_panic",
        damage_is_found_and_never_a_panic,
    ),
    (
        "a_lock_of_others_ends_at_the_deadline",
        a_lock_of_others_ends_at_the_deadline,
    ),
    ("a_stuck_turn_is_done_without", a_stuck_turn_is_done_without),
    ("a_file_taken_away_is_said", a_file_taken_away_is_said),
    ("odd_names_are_names", odd_names_are_names),
];

pub(crate) fn python(script: &str, path: &Path) -> Command {
    let mut command = Command::new("python3");
    command.args(["-c", script]).arg(path);
    command
}

pub(crate) fn sql(path: &Path, script: &str) {
    let program = format!(
        "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1])\ndb.executescript({script:?})\ndb.commit(); db.close()"
    );
    assert!(
        python(&program, path).status().unwrap().success(),
        "{script}"
    );
}

fn refused(path: &Path) -> StoreError {
    Sqlite::open(path, options()).unwrap_err()
}

/// A closed store with `count` records of a few hundred octets.
fn filled(scratch: &Scratch, count: u32) -> PathBuf {
    let path = scratch.file("filled");
    let store = open(&path);
    for number in 0..count {
        put(
            &store,
            &format!("/n/{number:04}"),
            &number.to_string().repeat(100),
        );
    }
    path
}

fn what_is_no_store_of_ours_is_refused_and_left() {
    let scratch = Scratch::new();
    let path = scratch.file("file");
    let text = path.display().to_string();
    let check = |expected: &StoreError, message: &str| {
        let before = fs::read(&path).unwrap();
        let error = refused(&path);
        assert_eq!(&error, expected);
        assert_eq!(error.to_string(), message);
        assert_eq!(fs::read(&path).unwrap(), before, "{message}");
        fs::remove_file(&path).unwrap();
    };
    for content in [
        &b"hello"[..],
        &[b'x'; 8192],
        b"SQLite format 4\0 and more of it",
    ] {
        fs::write(&path, content).unwrap();
        let error = StoreError::NotDatabase { path: text.clone() };
        check(&error, &format!("{text} is not a database"));
    }
    sql(
        &path,
        "CREATE TABLE recipes (name TEXT); INSERT INTO recipes VALUES ('soup')",
    );
    let foreign = |found| StoreError::Foreign {
        path: text.clone(),
        found,
        ours: 0x6970_6970,
    };
    let words = "is a database of another program: its application id is";
    check(&foreign(0), &format!("{text} {words} 0x0, not 0x69706970"));
    sql(
        &path,
        "PRAGMA application_id = 0x4c5a; PRAGMA journal_mode = WAL; CREATE TABLE t (a)",
    );
    check(
        &foreign(0x4c5a),
        &format!("{text} {words} 0x4c5a, not 0x69706970"),
    );
    sql(&path, "PRAGMA user_version = 3");
    check(&foreign(0), &format!("{text} {words} 0x0, not 0x69706970"));

    drop(open(&path));
    sql(&path, "PRAGMA user_version = 3");
    let error = StoreError::Newer {
        path: text.clone(),
        found: 3,
        known: 2,
    };
    check(
        &error,
        &format!("{text} has schema version 3, this version knows 2"),
    );
    let _ = fs::remove_file(scratch.file("file-lock"));
    drop(open(&path));
    sql(&path, "PRAGMA user_version = 0");
    let damage = "its schema version is 0".to_owned();
    let error = StoreError::Damaged {
        path: text.clone(),
        text: damage,
    };
    check(
        &error,
        &format!("{text} is damaged: its schema version is 0"),
    );
    let _ = fs::remove_file(scratch.file("file-lock"));
    drop(open(&path));
    sql(&path, "DROP TABLE change");
    assert!(matches!(refused(&path), StoreError::Damaged { .. }));
}

fn where_no_file_can_be_is_said() {
    let scratch = Scratch::new();
    let kind = |path: &Path, create| match Sqlite::open(
        path,
        SqliteOptions {
            create,
            ..options()
        },
    )
    .unwrap_err()
    {
        StoreError::Open {
            path: named, kind, ..
        } => {
            assert!(named.starts_with(&path.display().to_string()), "{named}");
            kind
        }
        other => panic!("{other}"),
    };
    assert_eq!(kind(&scratch.file("none/store"), true), ErrorKind::NotFound);
    assert_eq!(kind(&scratch.file("store"), false), ErrorKind::NotFound);
    assert!(!scratch.file("store").exists() && !scratch.file("store-lock").exists());
    fs::write(scratch.file("file"), "").unwrap();
    assert_eq!(
        kind(&scratch.file("file/store"), true),
        ErrorKind::NotADirectory
    );
    fs::create_dir(scratch.file("directory")).unwrap();
    let error = refused(&scratch.file("directory"));
    assert!(matches!(error, StoreError::Open { .. }), "{error}");
    assert!(matches!(refused(Path::new("")), StoreError::Open { .. }));
    assert!(matches!(
        refused(Path::new("/proc/store")),
        StoreError::Open { .. }
    ));
}

fn a_truncated_file_is_refused() {
    let scratch = Scratch::new();
    let path = filled(&scratch, 200);
    let whole = fs::read(&path).unwrap();
    assert!(whole.len() > 16 * 4096, "{}", whole.len());
    for len in [
        0,
        1,
        99,
        100,
        4095,
        4096,
        8192,
        whole.len() / 2,
        whole.len() - 4096,
    ] {
        fs::write(&path, &whole[..len]).unwrap();
        let damaged = match Sqlite::open(&path, options()) {
            Ok(store) => store
                .list("/")
                .map(|_| ())
                .and_then(|()| store.verify())
                .expect_err(&format!("{len} octets of {}", whole.len())),
            Err(error) => error,
        };
        assert!(
            matches!(
                damaged,
                StoreError::Damaged { .. } | StoreError::NotDatabase { .. }
            ),
            "{len} octets: {damaged:?}"
        );
        assert_eq!(
            fs::read(&path).unwrap(),
            whole[..len],
            "nothing was written to it"
        );
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(keys(&open(&path), "/").len(), 200);
}

fn damage_is_found_and_never_a_panic() {
    let scratch = Scratch::new();
    let path = filled(&scratch, 200);
    let whole = fs::read(&path).unwrap();
    let mut random = Random(0x5eed_0000_0000_0003);
    let mut found = 0;
    for _ in 0..60 {
        let mut damaged = whole.clone();
        let page = usize::try_from(random.below(whole.len() as u64 / 4096)).unwrap();
        let start = page * 4096 + usize::try_from(random.below(2000)).unwrap();
        for octet in &mut damaged[start..start + 300] {
            *octet = u8::try_from(random.below(256)).unwrap();
        }
        fs::write(&path, &damaged).unwrap();
        let store = match Sqlite::open(&path, options()) {
            Ok(store) => store,
            Err(error) => {
                found += 1;
                println!("{error}");
                continue;
            }
        };
        // Values may be wrong, calls may fail: each by an error that names the file.
        let names = |error: &StoreError| error.to_string().contains("filled");
        for result in [
            store.list("/").map(|_| ()),
            store.list_keys("/n/").map(|_| ()),
            store.get("/n/0077").map(|_| ()),
            store
                .commit(puts(&[("/n/0077", "1"), ("/new", "1")]))
                .map(|_| ()),
            store.watch("/", Revision(0), Duration::ZERO).map(|_| ()),
        ] {
            if let Err(error) = result {
                assert!(names(&error), "{error}");
            }
        }
        match store.verify() {
            Err(StoreError::Damaged { .. }) => found += 1,
            Ok(()) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert!(found > 30, "{found} of 60 were found");
}

/// Python in a process of its own that has SQLite's lock to write.
fn locked_by_python(path: &Path) -> Started {
    let script = "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
        db.execute('BEGIN IMMEDIATE')\nprint('locked', flush=True)\nsys.stdin.read()";
    let mut command = python(script, path);
    wait_for_lock(command.stdin(Stdio::piped()).stdout(Stdio::piped()))
}

fn wait_for_lock(command: &mut Command) -> Started {
    let mut child = Started(command.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(child.0.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "locked\n");
    child
}

fn a_lock_of_others_ends_at_the_deadline() {
    let scratch = Scratch::new();
    let path = scratch.file("store");
    let deadline = Duration::from_millis(300);
    let store = Sqlite::open(
        &path,
        SqliteOptions {
            deadline,
            ..options()
        },
    )
    .unwrap();
    put(&store, "/a", "1");
    let python = locked_by_python(&path);
    let commit = || {
        let started = Instant::now();
        let error = store.commit(puts(&[("/a", "2")])).unwrap_err();
        let StoreError::Deadline {
            path: named,
            waited,
        } = &error
        else {
            panic!("{error:?}")
        };
        assert_eq!(*named, path.display().to_string());
        // SQLite looks every 100 ms in the end.
        assert!(*waited >= deadline - Duration::from_millis(110) && *waited <= started.elapsed());
        assert!(started.elapsed() < deadline * 3, "{:?}", started.elapsed());
    };
    commit();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(commit);
        }
    });
    assert_eq!(value(&store, "/a").as_deref(), Some("1"), "reading goes on");
    let another = Sqlite::open(
        &path,
        SqliteOptions {
            deadline,
            ..options()
        },
    )
    .unwrap();
    assert_eq!(
        value(&another, "/a").as_deref(),
        Some("1"),
        "and so does opening"
    );
    drop(python);
    assert_eq!(put(&store, "/a", "2"), Revision(2));
}

/// Holds the file that orders the writers, and nothing of SQLite's.
pub(crate) fn lock_until_killed(path: &Path) -> Result<(), String> {
    let file = fs::File::create(path).map_err(|error| error.to_string())?;
    file.lock().map_err(|error| error.to_string())?;
    child::say("locked");
    std::thread::sleep(Duration::from_secs(60));
    Ok(())
}

fn a_stuck_turn_is_done_without() {
    let scratch = Scratch::new();
    let path = scratch.file("store");
    let store = open(&path);
    let mut command = child::command(&[], "lock-until-killed", &scratch.file("store-lock"));
    let stuck = wait_for_lock(command.stdout(Stdio::piped()));
    let timed = |key: &str| {
        let started = Instant::now();
        put(&store, key, "");
        started.elapsed()
    };
    let first = timed("/a");
    assert!(
        (Duration::from_millis(900)..Duration::from_secs(3)).contains(&first),
        "{first:?}"
    );
    let second = timed("/b");
    assert!(
        second < Duration::from_millis(500),
        "once is enough: {second:?}"
    );
    drop(stuck);
    std::thread::sleep(Duration::from_millis(50));
    for _ in 0..20 {
        let later = timed("/c");
        assert!(later < Duration::from_millis(500), "{later:?}");
    }
    // The wait of before left nothing locked.
    let file = fs::File::open(scratch.file("store-lock")).unwrap();
    file.try_lock().unwrap();
}

fn a_file_taken_away_is_said() {
    let scratch = Scratch::new();
    let path = scratch.file("store");
    let gone = || StoreError::Gone {
        path: path.display().to_string(),
    };
    let store = open(&path);
    put(&store, "/a", "1");
    std::thread::scope(|scope| {
        let watch = || store.watch("/", Revision(1), Duration::from_secs(30));
        let waiting = scope.spawn(watch);
        std::thread::sleep(Duration::from_millis(30));
        fs::rename(&path, scratch.file("elsewhere")).unwrap();
        assert_eq!(waiting.join().unwrap(), Err(gone()));
    });
    assert_eq!(store.commit(puts(&[("/a", "2")])), Err(gone()));
    for ending in ["-wal", "-shm"] {
        fs::rename(
            scratch.file(&format!("store{ending}")),
            scratch.file(&format!("elsewhere{ending}")),
        )
        .unwrap();
    }
    let new = open(&path);
    assert_eq!(
        store.commit(puts(&[("/a", "2")])),
        Err(gone()),
        "another file is not the one we opened"
    );
    assert_eq!(keys(&new, "/"), [""; 0]);
    drop((store, new));
    assert_eq!(
        value(&open(&scratch.file("elsewhere")), "/a").as_deref(),
        Some("1")
    );
}

/// Opens the file that it is given, and commits.
pub(crate) fn open_and_commit(path: &Path) -> Result<(), String> {
    let store = Sqlite::open(path, options()).map_err(|error| error.to_string())?;
    let outcome = store
        .commit(puts(&[("/a", "1")]))
        .map_err(|error| error.to_string())?;
    child::say(&format!("{outcome:?}"));
    Ok(())
}

fn odd_names_are_names() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.file("d")).unwrap();
    for name in [":memory:", "file:x?mode=memory", "ä b'%20\"", "-x"] {
        let path = Path::new(name);
        let mut command = child::command(&[], "open", path);
        let output = command.current_dir(scratch.file("d")).output().unwrap();
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            "Committed(Revision(1))\n",
            "{name}"
        );
        let store = open(&scratch.file("d").join(name));
        assert_eq!(value(&store, "/a").as_deref(), Some("1"), "{name}");
    }
    let Outcome::Committed(_) = open(&scratch.file("x")).commit(puts(&[])).unwrap() else {
        panic!()
    };
}
