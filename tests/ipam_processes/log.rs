//! One file to which all processes append lines: the kernel puts them into one order, in which what one
//! process wrote before another one began is before what that wrote.

use std::fs::{File, OpenOptions};
use std::io::{Result, Write};
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

/// An address, and the sequence number of its assignment.
pub(crate) type Held = (Ipv4Addr, u64);

/// What happened to a worker.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    /// It is about to ask for addresses for this handle.
    Assigning(String),
    /// It got these, after that time.
    Assigned(String, Vec<Held>, Duration),
    /// It is about to release all of the handle.
    Releasing(String),
    /// They are released, after that time.
    Released(String, Duration),
    /// The store is asked for a commit.
    CommitBegins,
    /// The store has answered, after that time.
    CommitEnded(Duration),
    /// It was killed; whether it had SQLite's lock for writing just before.
    Killed(bool),
}

/// The end of an append-only file.
#[derive(Debug)]
pub(crate) struct Log(File);

impl Log {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Ok(Self(
            OpenOptions::new().append(true).create(true).open(path)?,
        ))
    }

    /// Appends a line in one write. It begins with a line feed too, and ends with a mark: a line that a
    /// kill cut short spoils no other and is known.
    pub(crate) fn write(&self, worker: usize, event: &Event) -> Result<()> {
        (&self.0).write_all(format!("\n{worker} {} .\n", event.to_text()).as_bytes())
    }
}

/// The lines of the log, each with its worker.
pub(crate) fn events(text: &str) -> impl Iterator<Item = (usize, Event)> {
    text.lines().filter_map(|line| {
        let mut words = line.strip_suffix(" .")?.split(' ');
        let worker = words.next()?.parse().ok()?;
        Some((worker, Event::parse(&words.collect::<Vec<_>>())?))
    })
}

impl Event {
    fn to_text(&self) -> String {
        match self {
            Self::Assigning(handle) => format!("assigning {handle}"),
            Self::Assigned(handle, held, took) => {
                let held: Vec<_> = held
                    .iter()
                    .map(|(addr, at)| format!("{addr}@{at}"))
                    .collect();
                format!("assigned {handle} {} {}", took.as_micros(), held.join(","))
            }
            Self::Releasing(handle) => format!("releasing {handle}"),
            Self::Released(handle, took) => format!("released {handle} {}", took.as_micros()),
            Self::CommitBegins => "begin".to_owned(),
            Self::CommitEnded(took) => format!("end {}", took.as_micros()),
            Self::Killed(writing) => format!("killed {writing}"),
        }
    }

    fn parse(words: &[&str]) -> Option<Self> {
        let micros = |text: &str| Some(Duration::from_micros(text.parse().ok()?));
        Some(match *words {
            ["assigning", handle] => Self::Assigning(handle.to_owned()),
            ["assigned", handle, took, held] => {
                let one = |text: &str| {
                    let (addr, at) = text.split_once('@')?;
                    Some((addr.parse().ok()?, at.parse().ok()?))
                };
                let held: Option<Vec<Held>> = held.split(',').map(one).collect();
                Self::Assigned(handle.to_owned(), held?, micros(took)?)
            }
            ["releasing", handle] => Self::Releasing(handle.to_owned()),
            ["released", handle, took] => Self::Released(handle.to_owned(), micros(took)?),
            ["begin"] => Self::CommitBegins,
            ["end", took] => Self::CommitEnded(micros(took)?),
            ["killed", writing] => Self::Killed(writing.parse().ok()?),
            _ => return None,
        })
    }
}
