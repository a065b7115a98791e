//! Many processes that write to one file at once.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ipip_core::datastore::{Sqlite, Store};

use crate::Test;
use crate::child;
use crate::remote::Remote;
use crate::scratch::Scratch;
use crate::world::{increment, open, put, value};

pub(crate) const TESTS: &[Test] = &[
    ("sixteen_processes_take_turns", || take_turns(100)),
    ("long_sixteen_processes_take_turns", || take_turns(1_000)),
    (
        "who_has_the_turn_loses_to_nobody",
        who_has_the_turn_loses_to_nobody,
    ),
    (
        "a_turn_ends_however_it_is_left",
        a_turn_ends_however_it_is_left,
    ),
];

const PROCESSES: usize = 16;

/// Commits until its input ends, says when it made as many as its input began with, and at the end how
/// many it made in all and how many microseconds the longest took.
pub(crate) fn commit_in_turn(path: &Path) -> Result<(), String> {
    let store = Sqlite::open(path, crate::world::options()).map_err(|error| error.to_string())?;
    child::say("ready");
    let stop = AtomicBool::new(false);
    let (mut count, mut longest) = (0, Duration::ZERO);
    let mut input = String::new();
    let read = std::io::stdin().read_line(&mut input);
    read.map_err(|error| error.to_string())?;
    let enough: u64 = input.trim().parse().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _ = std::io::stdin().read(&mut [0]);
            stop.store(true, Ordering::Release);
        });
        while !stop.load(Ordering::Acquire) {
            let started = Instant::now();
            put(
                &store,
                &format!("/{}", std::process::id()),
                &count.to_string(),
            );
            longest = longest.max(started.elapsed());
            count += 1;
            if count == enough {
                child::say("enough");
            }
        }
    });
    increment(&store, "/ended").map_err(|error| error.to_string())?;
    child::say(&format!("{count} {}", longest.as_micros()));
    Ok(())
}

fn take_turns(each: u32) {
    let scratch = Scratch::new();
    let path = scratch.file("store");
    let store = open(&path);
    let mut children: Vec<_> = (0..PROCESSES)
        .map(|_| child::start("commit-in-turn", &path))
        .collect();
    let mut outputs: Vec<_> = children
        .iter_mut()
        .map(|child| BufReader::new(child.0.stdout.take().unwrap()).lines())
        .collect();
    let mut next = |expected: &str| {
        for output in &mut outputs {
            assert_eq!(output.next().unwrap().unwrap(), expected);
        }
    };
    next("ready");
    let started = Instant::now();
    for child in &mut children {
        writeln!(child.0.stdin.as_mut().unwrap(), "{each}").unwrap();
    }
    next("enough");
    for child in &mut children {
        drop(child.0.stdin.take());
    }
    let took = started.elapsed();
    let ends = outputs.iter_mut().map(|output| {
        let line = output.next().unwrap().unwrap();
        let (count, longest) = line.split_once(' ').unwrap();
        (
            count.parse::<u64>().unwrap(),
            longest.parse::<u64>().unwrap(),
        )
    });
    let (counts, longest): (Vec<_>, Vec<_>) = ends.unzip();
    let total: u64 = counts.iter().sum();
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    let longest = Duration::from_micros(*longest.iter().max().unwrap());
    println!(
        "{PROCESSES} processes: {:.0} commits/s, each between {least} and {most}, longest wait {longest:?}",
        total as f64 / took.as_secs_f64(),
    );
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    let listing = store.list("/").unwrap();
    assert_eq!(
        listing.revision.0,
        total + PROCESSES as u64,
        "each commit made one revision"
    );
    store.verify().unwrap();
}

/// Whoever lost against others, threads, handles and processes, does not lose again in his turn.
fn who_has_the_turn_loses_to_nobody() {
    let scratch = Scratch::new();
    let path = scratch.file("store");
    let (store, other) = (open(&path), open(&path));
    let remote = Remote::new(&path);
    let others: [&dyn Store; 3] = [&store, &other, &remote];
    let stop = AtomicBool::new(false);
    let (lost, done) = std::thread::scope(|scope| {
        let hurried = others.map(|store| {
            let stop = &stop;
            scope.spawn(move || {
                let mut done = 0;
                while !stop.load(Ordering::Acquire) {
                    increment(store, "/n").unwrap();
                    done += 1;
                }
                done
            })
        });
        let mut lost = Vec::new();
        for _ in 0..50 {
            store.in_turn(&mut || lost.push(increment(&store, "/n").unwrap()));
        }
        stop.store(true, Ordering::Release);
        (lost, hurried.map(|thread| thread.join().unwrap()))
    });
    assert_eq!(
        lost.iter().max(),
        Some(&1),
        "conflicts of one turn: {lost:?}"
    );
    assert!(done.iter().all(|done| *done > 0), "{done:?}");
    let all = 50 + done.iter().sum::<u64>();
    assert_eq!(value(&store, "/n"), Some(all.to_string()));
}

fn a_turn_ends_however_it_is_left() {
    let scratch = Scratch::new();
    let path = scratch.file("store");
    let (store, other) = (open(&path), open(&path));
    let twice = || {
        put(&store, "/a", "1");
        put(&store, "/a", "2");
    };
    store.in_turn(&mut || {
        store.in_turn(&mut || twice());
        twice();
    });
    let panics = std::thread::scope(|scope| {
        let turn = || {
            store.in_turn(&mut || {
                twice();
                panic!("on purpose");
            });
        };
        scope.spawn(turn).join().is_err()
    });
    assert!(panics);
    let started = Instant::now();
    put(&other, "/a", "3");
    put(&store, "/a", "4");
    assert!(
        started.elapsed() < Duration::from_millis(900),
        "nobody lost patience"
    );
}
