//! Every file of `tests/fuzz/corpus/`, and some thousands of changed copies of each, through the function of its folder.
//!
//! The same on every run: a failure names the file, and the copy that broke a property is written beside the other things
//! that a build leaves, for `cargo fuzz` and for the corpus.

#[path = "fuzz/targets/mod.rs"]
#[expect(unreachable_pub, reason = "the crate of the fuzzers exports them")]
mod targets;

use std::env;
use std::fs;
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::{Arguments, Trial};
use targets::{TARGETS, Target};

/// Changed copies of each file.
const COPIES: usize = 1000;

/// The longest copy, in octets.
const LONGEST: usize = 4096;

/// Address space for a run in which no number of an input may be allocated, in KiB: far below the 4 GiB that 32 bits
/// can ask for.
const ADDRESS_SPACE: &str = "1048576";

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fuzz/corpus")
        .join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{name} has no files");
    let read = |path: PathBuf| {
        let octets = fs::read(&path).unwrap();
        (path, octets)
    };
    files.into_iter().map(read).collect()
}

/// Calls the function, and keeps what broke a property.
fn hold((name, function): Target, path: &Path, octets: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| function(octets))) {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz_{name}"));
        fs::write(&kept, octets).unwrap();
        eprintln!(
            "{name}: made of {}, kept as {}",
            path.display(),
            kept.display()
        );
        std::panic::resume_unwind(panic);
    }
}

/// Marsaglia's xorshift: chance that repeats itself.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).unwrap()
    }

    fn octet(&mut self) -> u8 {
        const TELLING: [u8; 8] = [0, 1, 4, 0x40, 0x45, 0x7f, 0x80, 0xff];
        match self.below(2) {
            0 => TELLING[self.below(TELLING.len())],
            _ => u8::try_from(self.below(256)).unwrap(),
        }
    }

    /// One to four changes: a bit, an octet, a cut, a doubling, a piece of another file.
    fn change(&mut self, octets: &mut Vec<u8>, others: &[(PathBuf, Vec<u8>)]) {
        for _ in 0..=self.below(4) {
            let at = self.below(octets.len());
            match self.below(7) {
                0 if !octets.is_empty() => octets[at] ^= 1 << self.below(8),
                1 | 2 if !octets.is_empty() => octets[at] = self.octet(),
                3 => octets.truncate(at),
                4 => octets.insert(at, self.octet()),
                5 => octets.extend_from_within(at..),
                _ => {
                    let other = &others[self.below(others.len())].1;
                    let from = self.below(other.len());
                    octets.truncate(at);
                    octets.extend_from_slice(&other[from.min(other.len())..]);
                }
            }
            octets.truncate(LONGEST);
        }
    }
}

fn replay(target: Target) {
    let files = corpus(target.0);
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for (path, octets) in &files {
        hold(target, path, octets);
        for _ in 0..COPIES {
            let mut copy = octets.clone();
            chance.change(&mut copy, &files);
            hold(target, path, &copy);
        }
    }
}

/// Becomes the same program with less memory, unless it is that already.
fn limited() {
    const MARK: &str = "IPIP_FUZZ_LIMITED";
    if env::var_os(MARK).is_some() {
        return;
    }
    let program = env::current_exe().unwrap();
    let script = format!("ulimit -v {ADDRESS_SPACE} && exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    let command = command.args(["-c", &script]).arg(program);
    command.args(env::args_os().skip(1)).env(MARK, "");
    // Each thread of glibc's reserves 64 MiB for itself otherwise.
    let error = command.env("MALLOC_ARENA_MAX", "2").exec();
    panic!("cannot run sh: {error}");
}

fn main() {
    limited();
    let trial = |target: Target| {
        Trial::test(target.0, move || {
            replay(target);
            Ok(())
        })
    };
    let arguments = Arguments::from_args();
    libtest_mimic::run(&arguments, TARGETS.map(trial).into()).exit();
}
