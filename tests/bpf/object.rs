//! The committed object against what clang makes of the source.

use std::path::Path;
use std::process::Command;

use crate::support::Scratch;

/// Only one compiler gives the same octets: clang 14, Debian 12's. `tests/run` installs it.
pub(crate) fn the_object_is_what_clang_makes() {
    let bpf = Path::new(env!("CARGO_MANIFEST_DIR")).join("bpf");
    if Command::new("clang-14").arg("--version").output().is_err() {
        println!("skipped: there is no clang-14, which the object was made with");
        return;
    }
    let scratch = Scratch::new();
    let made = scratch.file("ipip.bpf.o");
    let build = Command::new(bpf.join("build")).arg(&made).output().unwrap();
    let said = String::from_utf8_lossy(&build.stderr).into_owned();
    assert!(build.status.success(), "ipip-core/bpf/build: {said}");
    let committed = std::fs::read(bpf.join("ipip.bpf.o")).unwrap();
    let same = std::fs::read(made).unwrap() == committed;
    assert!(
        same,
        "ipip.bpf.o is not what clang makes of ipip.bpf.c: run ipip-core/bpf/build"
    );
}
