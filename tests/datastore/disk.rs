//! What reaches the disk when, and what becomes of a commit that does not: strace looks on, and makes the
//! system call fail.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use ipip_core::datastore::{Durability, Sqlite, SqliteOptions, Store, StoreError};
use ipip_core::ipam::{Ambient, Ipam, IpamError};
use ipip_core::name::{HandleId, NodeName};
use ipip_core::resource::{Attribute, Pool};

use crate::Test;
use crate::child;
use crate::scratch::Scratch;
use crate::world::{keys, land, open, options, put, puts};

pub(crate) const TESTS: &[Test] = &[
    (
        "each_commit_waits_for_the_disk",
        each_commit_waits_for_the_disk,
    ),
    (
        "a_commit_asks_for_no_times_of_the_log",
        a_commit_asks_for_no_times_of_the_log,
    ),
    (
        "nothing_is_acknowledged_before_it_is_on_the_disk",
        nothing_is_acknowledged_before_it_is_on_the_disk,
    ),
    (
        "a_disk_that_refuses_is_not_asked_again",
        a_disk_that_refuses_is_not_asked_again,
    ),
    (
        "an_assignment_that_the_disk_refused_is_in_doubt",
        an_assignment_that_the_disk_refused_is_in_doubt,
    ),
    (
        "a_log_lies_where_a_link_leads",
        a_log_lies_where_a_link_leads,
    ),
];

/// What a child said under strace, and the lines of the trace.
fn traced(options: &[&str], work: &str, path: &Path) -> (String, String) {
    let trace = path.with_extension("strace");
    let trace_text = trace.display().to_string();
    let before = [&["strace", "-f", "-y", "-o", &trace_text], options].concat();
    let output = child::command(&before, work, path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&output.stderr);
    (said + &complaints, std::fs::read_to_string(trace).unwrap())
}

/// Opens the file for the durability that its name tells, and commits fifty times.
pub(crate) fn commit_fifty(path: &Path) -> Result<(), String> {
    let durability = match path.file_name().and_then(|name| name.to_str()) {
        Some("power") => Durability::Power,
        _ => Durability::Process,
    };
    let store = Sqlite::open(
        path,
        SqliteOptions {
            durability,
            ..options()
        },
    )
    .unwrap();
    for number in 0..50u32 {
        land(&store, puts(&[("/a", &number.to_string())]));
    }
    child::say("done");
    // Closing writes too.
    std::process::exit(0);
}

fn each_commit_waits_for_the_disk() {
    let scratch = Scratch::new();
    let syncs = |name: &str| {
        let options = ["-e", "trace=fdatasync,fsync"];
        let (said, trace) = traced(&options, "commit-fifty", &scratch.file(name));
        assert_eq!(said, "done\n");
        trace
            .lines()
            .filter(|line| line.contains("-wal>") && line.ends_with("= 0"))
            .count()
    };
    let (power, process) = (syncs("power"), syncs("process"));
    assert!((50..60).contains(&power), "{power}");
    assert!(process < 10, "{process}");
}

/// Whoever asks for the times of the log makes its next sync write them (`sys::file::links`).
fn a_commit_asks_for_no_times_of_the_log() {
    let scratch = Scratch::new();
    let options = ["-e", "trace=fdatasync,statx,newfstatat,fstat,stat"];
    let (said, trace) = traced(&options, "commit-fifty", &scratch.file("power"));
    assert_eq!(
        said,
        "done
"
    );
    let mut lines = trace.lines().skip_while(|line| !line.contains("fdatasync"));
    let asked: Vec<_> = lines
        .by_ref()
        .filter(|line| line.contains("-wal>") && line.contains("stat"))
        .filter(|line| !line.contains("fdatasync"))
        .collect();
    assert!(asked.len() >= 50, "{trace}");
    for line in asked {
        assert!(line.contains("AT_EMPTY_PATH, STATX_NLINK, {"), "{line}");
    }
}

/// Commits, and says each one that was acknowledged; so much that the log is begun anew a few times.
pub(crate) fn commit_and_say(path: &Path) -> Result<(), String> {
    let store = open(path);
    for number in 0..60u32 {
        // Other octets each time: what stays as it is in a page is not written.
        put(&store, "/a", &format!("{number} ").repeat(70_000));
        child::say("acknowledged");
    }
    Ok(())
}

/// The rule as a slow model: a file is dirty from a write to it until a sync of it.
fn nothing_is_acknowledged_before_it_is_on_the_disk() {
    let scratch = Scratch::new();
    let path = scratch.file("store");
    let calls = "trace=write,pwrite64,ftruncate,fsync,fdatasync";
    let (said, trace) = traced(&["-e", calls], "commit-and-say", &path);
    assert_eq!(said, "acknowledged\n".repeat(60));
    let (database, log) = (
        path.display().to_string(),
        format!("{}-wal", path.display()),
    );
    let directory = scratch.file("").display().to_string();
    let directory = directory.trim_end_matches('/').to_owned();
    let mut dirty = BTreeSet::from([directory.clone()]);
    let (mut acknowledged, mut begun) = (0, 0);
    for line in trace.lines() {
        let Some((call, rest)) = line
            .split_once(' ')
            .and_then(|(_, call)| call.trim_start().split_once('('))
        else {
            continue;
        };
        if call == "write" && rest.contains("acknowledged") {
            let all = [&log, &directory];
            let late: Vec<_> = all
                .into_iter()
                .filter(|file| dirty.contains(*file))
                .collect();
            assert!(late.is_empty(), "acknowledged before {late:?}: {line}");
            acknowledged += 1;
        }
        let file = rest
            .split_once('<')
            .and_then(|(_, file)| file.split_once('>'));
        let Some((file, rest)) = file else { continue };
        match call {
            "fsync" | "fdatasync" if line.ends_with("= 0") => {
                dirty.remove(file);
            }
            "pwrite64" | "ftruncate" => {
                if file == log && rest.contains(", 32, 0)") {
                    assert!(
                        !dirty.contains(&database),
                        "what the log held is nowhere: {line}"
                    );
                    begun += 1;
                }
                dirty.insert(file.to_owned());
            }
            _ => {}
        }
    }
    assert_eq!(acknowledged, 60);
    assert!(begun > 2, "the log was begun {begun} times");
}

fn kind(error: &StoreError) -> &'static str {
    match error {
        StoreError::Unknown { .. } => "unknown",
        StoreError::Failed { .. } => "failed",
        _ => "other",
    }
}

/// Commits until that fails, tries on, and opens the file anew.
pub(crate) fn commit_until_refused(path: &Path) -> Result<(), String> {
    let store = open(path);
    let mut count = 0;
    let error = loop {
        match store.commit(puts(&[(&format!("/{count}"), "x")])) {
            Ok(_) => count += 1,
            Err(error) => break error,
        }
    };
    child::say(&format!("{count} {}", kind(&error)));
    let errors = [
        store.commit(puts(&[("/more", "x")])).map(|_| ()),
        store.get("/0").map(|_| ()),
        store.list("/").map(|_| ()),
        store.list_keys("/").map(|_| ()),
    ];
    for result in errors {
        child::say(result.as_ref().map_or_else(kind, |()| "done"));
    }
    drop(store);
    let store = open(path);
    child::say(&keys(&store, "/").concat());
    put(&store, "/again", "x");
    Ok(())
}

/// SQLite here syncs with fsync and we with fdatasync, so the third of these is our third commit's.
const THIRD_SYNC_FAILS: [&str; 4] = [
    "-e",
    "trace=fdatasync",
    "-e",
    "inject=fdatasync:error=EIO:when=3",
];

fn a_disk_that_refuses_is_not_asked_again() {
    let scratch = Scratch::new();
    let path = scratch.file("store");
    let (said, trace) = traced(&THIRD_SYNC_FAILS, "commit-until-refused", &path);
    let expected = "2 unknown\nfailed\nfailed\nfailed\nfailed\n/0/1/2\n";
    assert_eq!(said, expected, "{trace}");
    let syncs = trace.lines().filter(|line| line.contains("fdatasync("));
    assert_eq!(
        syncs.count(),
        4,
        "the last one is the new handle's: {trace}"
    );
}

/// Assigns until that fails.
pub(crate) fn assign_until_refused(path: &Path) -> Result<(), String> {
    let ipam = Ipam::new(Arc::new(open(path)), Ambient::system());
    let pool = Pool::try_new("pods", "10.0.0.0/24".parse().unwrap(), 26).unwrap();
    ipam.create_pool(&pool).unwrap();
    let node = NodeName::try_new("node-a").unwrap();
    for number in 0..10 {
        let handle = HandleId::try_new(&format!("pod-{number}")).unwrap();
        match ipam.assign_any(&node, &Attribute::new(Some(handle))) {
            Ok(_) => child::say("assigned"),
            Err(IpamError::Store(error)) => {
                child::say(kind(&error));
                return Ok(());
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    Err("nothing failed".to_owned())
}

/// It is in the log and could be read back, which is no proof.
fn an_assignment_that_the_disk_refused_is_in_doubt() {
    let scratch = Scratch::new();
    let path = scratch.file("store");
    let (said, trace) = traced(&THIRD_SYNC_FAILS, "assign-until-refused", &path);
    assert!(
        said.ends_with("unknown\n") && said.starts_with("assigned\n"),
        "{said} {trace}"
    );
}

fn a_log_lies_where_a_link_leads() {
    let scratch = Scratch::new();
    let (path, link) = (scratch.file("store"), scratch.file("link"));
    put(&open(&path), "/a", "1");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let store = open(&link);
    put(&store, "/b", "2");
    assert_eq!(keys(&open(&path), "/"), ["/a", "/b"]);
}
