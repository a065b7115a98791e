//! Command lines inside a namespace, and waiting for what they show.

use std::process::Command;
use std::time::{Duration, Instant};

use ipip_core::sys::netns::Netns;

/// A command inside a namespace.
pub(crate) fn inside(netns: &Netns, program: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={netns}")).arg(program);
    command
}

/// What `sh -c LINE` prints inside a namespace, or how it ended and what it complains of.
pub(crate) fn try_sh(netns: &Netns, line: &str) -> Result<String, String> {
    let output = inside(netns, "sh").args(["-c", line]).output().unwrap();
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout).unwrap());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}: {complaint}", output.status))
}

/// What `sh -c LINE` prints inside a namespace; it must succeed.
#[track_caller]
pub(crate) fn sh(netns: &Netns, line: &str) -> String {
    try_sh(netns, line).unwrap_or_else(|fault| panic!("{line}: {fault}"))
}

/// Waits until `condition` holds, up to twenty seconds, or a minute in a guest, where all takes longer.
#[track_caller]
pub(crate) fn soon(what: &str, condition: impl FnMut() -> bool) {
    assert!(
        comes_soon(condition),
        "not within {} seconds: {what}",
        patience().as_secs()
    );
}

/// Whether `condition` holds within that time.
pub(crate) fn comes_soon(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience();
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

fn patience() -> Duration {
    Duration::from_secs(std::env::var_os("IPIP_GUEST").map_or(20, |_| 60))
}
