//! Other processes: this program again, told by its arguments what to do.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use crate::{crash, disk, fairness, files, limits, remote};

/// The first argument of a child; the second is its work, the third a file.
const CHILD: &str = "--as-child-of-the-datastore-tests";

type Work = fn(&Path) -> Result<(), String>;

/// What a child may be asked for; it works on a file, and writes to its parent.
const WORKS: &[(&str, Work)] = &[
    ("serve", remote::serve),
    ("commit-until-killed", crash::commit_until_killed),
    ("commit-in-turn", fairness::commit_in_turn),
    ("lock-until-killed", files::lock_until_killed),
    ("open", files::open_and_commit),
    ("fill", limits::fill),
    ("commit-fifty", disk::commit_fifty),
    ("commit-and-say", disk::commit_and_say),
    ("commit-until-refused", disk::commit_until_refused),
    ("assign-until-refused", disk::assign_until_refused),
];

/// Does the work if this process is a child; it ends then with the code returned.
pub(crate) fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next()? != CHILD {
        return None;
    }
    let (work, path) = (arguments.next()?, arguments.next()?);
    let (_, work) = WORKS.iter().find(|(name, _)| *name == work)?;
    Some(match work(Path::new(&path)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error);
            ExitCode::FAILURE
        }
    })
}

/// One line to the parent, at once.
pub(crate) fn say(line: &str) {
    // The parent may have gone.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// A command that makes this program a child; `before` is what it is run by.
pub(crate) fn command(before: &[&str], work: &str, path: &Path) -> Command {
    let program = std::env::current_exe().unwrap();
    let mut words: Vec<&OsStr> = before.iter().map(OsStr::new).collect();
    words.extend([
        program.as_os_str(),
        OsStr::new(CHILD),
        OsStr::new(work),
        path.as_os_str(),
    ]);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}

/// A child whose output is read, and that is killed when the test ends.
pub(crate) struct Started(pub(crate) Child);

pub(crate) fn start(work: &str, path: &Path) -> Started {
    let mut command = command(&[], work, path);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    Started(command.spawn().unwrap())
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
