//! The oracle: what iproute2 says about a namespace. It shares no code with the library.

use std::process::Command;

use ipip_core::sys::netns::Netns;
use libtest_mimic::Failed;
use serde_json::Value;

/// `ip -j ARGUMENTS` inside a namespace: the objects that it lists.
pub(crate) fn json(netns: &Netns, arguments: &str) -> Result<Vec<Value>, Failed> {
    // The child is made by a thread that is in the namespace, so it is there too.
    let output = netns.enter(|| {
        Command::new("ip")
            .arg("-j")
            .args(arguments.split_whitespace())
            .output()
    })??;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("ip -j {arguments}: {}", said.trim()).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
