//! Processes that end by SIGKILL while they commit: what was acknowledged is there, and what was not is
//! there as a whole or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use ipip_core::datastore::{Commit, Revision, Sqlite, Store};

use crate::Test;
use crate::child::{self, Started};
use crate::scratch::Scratch;
use crate::world::{Random, keys, land, open, value};

pub(crate) const TESTS: &[Test] = &[
    ("a_killed_writer_loses_nothing", || kill_writers(12)),
    ("long_five_hundred_killed_writers_lose_nothing", || {
        kill_writers(170)
    }),
    (
        "a_torn_log_holds_the_first_commits",
        a_torn_log_holds_the_first_commits,
    ),
];

/// Writers at once.
const WRITERS: usize = 3;

/// Commits number after number, each in three keys, and says each number once it is acknowledged.
pub(crate) fn commit_until_killed(path: &Path) -> Result<(), String> {
    let store = Sqlite::open(path, crate::world::options()).map_err(|error| error.to_string())?;
    let me = std::process::id();
    let mut last = None;
    for number in 1u64.. {
        let text = number.to_string();
        let (first, second) = (format!("/{me}/first"), format!("/{me}/second"));
        let mut commit = Commit::new();
        commit.expect(&first, last).expect(&second, last);
        commit
            .put(&first, text.clone().into_bytes())
            .put(&second, text.clone().into_bytes());
        commit.put(&format!("/{me}/log/{number:09}"), vec![b'x'; 700]);
        last = Some(land(&store, commit));
        child::say(&text);
    }
    Ok(())
}

/// Waits for its first line, so that it is at work.
fn first_line(child: &mut Started) -> Vec<u8> {
    let mut read = vec![0];
    let output = child.0.stdout.as_mut().unwrap();
    output.read_exact(&mut read).unwrap();
    read
}

fn kill_writers(rounds: u32) {
    let scratch = Scratch::new();
    let path = scratch.file("store");
    let mut random = Random(0x5eed_0000_0000_0001);
    let (mut acknowledged, mut unacknowledged) = (0, 0);
    for round in 0..rounds {
        let mut writers: Vec<_> = (0..WRITERS)
            .map(|_| child::start("commit-until-killed", &path))
            .collect();
        let mut output: Vec<_> = writers.iter_mut().map(first_line).collect();
        std::thread::sleep(Duration::from_micros(random.below(30_000)));
        let mut last = BTreeMap::new();
        for (writer, output) in writers.iter_mut().zip(&mut output) {
            writer.0.kill().unwrap();
            writer.0.wait().unwrap();
            writer.0.stdout.take().unwrap().read_to_end(output).unwrap();
            // A line cut short is no acknowledgement.
            let text = String::from_utf8(output.clone()).unwrap();
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            let number: u64 = whole.lines().last().map_or(0, |line| line.parse().unwrap());
            last.insert(writer.0.id(), number);
        }
        let store = open(&path);
        store.verify().unwrap();
        for (writer, acknowledged_last) in last {
            let found = committed(&store, writer);
            let more = found - acknowledged_last;
            assert!(
                more <= 1,
                "round {round}: {found} of writer {writer}, it was told {acknowledged_last}"
            );
            acknowledged += acknowledged_last;
            unacknowledged += more;
        }
    }
    let kills = usize::try_from(rounds).unwrap() * WRITERS;
    println!(
        "{kills} writers killed: {acknowledged} commits acknowledged, none lost; {unacknowledged} more landed unheard"
    );
}

/// The last number of a writer, which all that it committed must agree on.
fn committed(store: &dyn Store, writer: u32) -> u64 {
    let number = |name: &str| -> u64 {
        value(store, &format!("/{writer}/{name}")).map_or(0, |text| text.parse().unwrap())
    };
    let (first, second) = (number("first"), number("second"));
    assert_eq!(first, second, "half a commit of writer {writer}");
    let log = keys(store, &format!("/{writer}/log/"));
    let expected: Vec<_> = (1..=first)
        .map(|n| format!("/{writer}/log/{n:09}"))
        .collect();
    assert_eq!(log, expected, "writer {writer}");
    first
}

/// What a loss of power may leave of a log that was not yet written to the disk: any part of it.
fn a_torn_log_holds_the_first_commits() {
    const COMMITS: u64 = 40;
    let scratch = Scratch::new();
    let (path, torn) = (scratch.file("store"), scratch.file("torn"));
    let beside = |path: &Path, ending: &str| format!("{}{ending}", path.display());
    let store = open(&path);
    for number in 1..=COMMITS {
        let mut commit = Commit::new();
        let text = number.to_string().into_bytes();
        commit.put("/first", text.clone()).put("/second", text);
        commit.put(&format!("/log/{number:09}"), vec![b'x'; 700]);
        assert_eq!(land(&store, commit), Revision(number));
    }
    // Read while it is open: the last one to close it would empty the log.
    let database = fs::read(&path).unwrap();
    let log = fs::read(beside(&path, "-wal")).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    let mut random = Random(0x5eed_0000_0000_0002);
    for number in 0..120u64 {
        let mut log = log.clone();
        let at = usize::try_from(random.below(log.len() as u64)).unwrap();
        if number % 2 == 0 {
            log.truncate(at);
        } else {
            log[at] ^= 0x10;
        }
        fs::write(&torn, &database).unwrap();
        fs::write(beside(&torn, "-wal"), &log).unwrap();
        let store = open(&torn);
        store.verify().unwrap();
        let listing = store.list("/log/").unwrap();
        let last = value(&store, "/first").map_or(0, |text| text.parse().unwrap());
        assert_eq!(
            value(&store, "/second"),
            value(&store, "/first"),
            "octet {at}"
        );
        assert_eq!(
            (listing.entries.len() as u64, listing.revision),
            (last, Revision(last))
        );
        seen.insert(last);
        drop(store);
        for ending in ["", "-wal", "-shm", "-lock", "-next"] {
            let _ = fs::remove_file(beside(&torn, ending));
        }
    }
    assert!(seen.len() > 20, "cut at many places: {seen:?}");
}
