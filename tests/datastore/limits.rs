//! Disks that are full or read-only.

use std::path::Path;
use std::process::Output;

use ipip_core::datastore::{Store, StoreError};

use crate::Test;
use crate::child;
use crate::scratch::Scratch;
use crate::world::{keys, open, put};

pub(crate) const TESTS: &[Test] = &[
    (
        "a_full_disk_is_said_and_loses_nothing",
        a_full_disk_is_said_and_loses_nothing,
    ),
    ("a_file_size_limit_is_said", a_file_size_limit_is_said),
    (
        "what_cannot_be_written_is_said",
        what_cannot_be_written_is_said,
    ),
];

/// Runs a child by a shell line in mounts of its own; `$0` is the directory, `"$@"` the child.
fn run_in(line: &str, directory: &Path, work: &str, file: &str) -> Output {
    let directory_text = directory.display().to_string();
    let before = [
        "unshare",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        line,
        &directory_text,
    ];
    child::command(&before, work, &directory.join(file))
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    format!("{text}{}", String::from_utf8_lossy(&output.stderr))
}

/// Commits until that fails, checks that what was there is there, makes room and commits again.
pub(crate) fn fill(path: &Path) -> Result<(), String> {
    let store = open(path);
    let value = "x".repeat(10_000);
    let mut count = 0;
    let error = loop {
        let key = format!("/n/{count:05}");
        let mut commit = crate::world::puts(&[(&key, &value), ("/last", &key)]);
        commit.expect(&key, None);
        match store.commit(commit) {
            Ok(_) => count += 1,
            Err(error) => break error,
        }
        if count > 100_000 {
            return Err("nothing was full".to_owned());
        }
    };
    child::say(match error {
        StoreError::Full { .. } => "full",
        StoreError::Unknown { .. } => "unknown",
        _ => "other",
    });
    child::say(&error.to_string());
    let there = keys(&store, "/n/").len();
    let last = crate::world::value(&store, "/last").unwrap_or_default();
    if there != count || last != format!("/n/{:05}", count - 1) {
        return Err(format!("{there} of {count} are there, the last {last}"));
    }
    store.verify().map_err(|error| error.to_string())?;
    drop(store);
    let store = open(path);
    let there = keys(&store, "/n/").len();
    child::say(&format!("{}", there == count));
    Ok(())
}

fn a_full_disk_is_said_and_loses_nothing() {
    let scratch = Scratch::new();
    let line = r#"mount -t tmpfs -o size=1m none "$0" && exec "$@""#;
    let output = run_in(line, &scratch.file(""), "fill", "store");
    let (said, path) = (text(&output), scratch.file("store"));
    let expected = format!(
        "full\n{} cannot grow: database or disk is full\ntrue\n",
        path.display()
    );
    assert_eq!(said, expected);
}

/// The kernel's word for it is that of a broken disk, so whether the commit took effect stays open.
fn a_file_size_limit_is_said() {
    let scratch = Scratch::new();
    let line = r#"trap "" XFSZ; ulimit -f 600; exec "$@""#;
    let said = text(&run_in(line, &scratch.file(""), "fill", "store"));
    assert!(
        said.starts_with("unknown\n") && said.ends_with("true\n"),
        "{said}"
    );
    assert!(said.contains("disk I/O error"), "{said}");
}

fn what_cannot_be_written_is_said() {
    let scratch = Scratch::new();
    put(&open(&scratch.file("store")), "/a", "1");
    for (line, expected) in [
        // The file system.
        (
            r#"mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@""#,
            "-lock cannot be written",
        ),
        // The file alone.
        (
            r#"mount --bind "$0/store" "$0/store" && mount -o remount,bind,ro "$0/store" && exec "$@""#,
            "store cannot be written: the file is read-only",
        ),
    ] {
        let said = text(&run_in(line, &scratch.file(""), "open", "store"));
        assert!(said.contains(expected), "{said}");
    }
    assert_eq!(keys(&open(&scratch.file("store")), "/"), ["/a"]);
}
