//! What is at the hooks of TCX, asked and changed from Python by bpf(2) alone (`tc` and `ip` do not show them).

use ipip_core::sys::netns::Netns;

use super::shell::sh;

const SCRIPT: &str = include_str!("tcx.py");

/// Runs `tcx.py` with `words` in `netns`; what it says.
pub(crate) fn tcx(netns: &Netns, words: &str) -> String {
    sh(netns, &format!("python3 - {words} <<'END'\n{SCRIPT}\nEND"))
}

/// The names of the programs at the hook that `at` tells, as "eth0 ingress", in order; none on a kernel without TCX.
pub(crate) fn tcx_names(netns: &Netns, at: &str) -> Option<Vec<String>> {
    let said = tcx(netns, &format!("list {at}"));
    let names = said.lines().filter(|line| !line.is_empty());
    (said.trim() != "none").then(|| names.map(str::to_owned).collect())
}
