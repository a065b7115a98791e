//! Tests that need the kernel's ipip driver: `tests/kernel/uml` or `qemu` runs this target in a guest
//! that has it, a host that has it runs it directly. Elsewhere each trial is ignored.
//!
//! A trial acts through the library in namespaces of its own and looks through `ip -j`. A file per
//! subject; each returns its trials, made with [`trial`].

use libtest_mimic::{Arguments, Failed, Trial};

mod fallback_device;
mod ip;

fn main() {
    let mut arguments = Arguments::from_args();
    // One CPU in a guest, and some trials turn kernel-wide switches: one after the other.
    arguments.test_threads = Some(1);
    if !driver_is_loaded() {
        eprintln!("skipped, this kernel has no ipip driver loaded: see tests/run driver-uml");
    }
    let trials = fallback_device::trials();
    libtest_mimic::run(&arguments, trials).exit();
}

/// A trial that runs where the driver is, and is ignored where it is not.
fn trial(name: &str, run: fn() -> Result<(), Failed>) -> Trial {
    Trial::test(name, run).with_ignored_flag(!driver_is_loaded())
}

/// As a module, or built in: then the first namespace has the fallback device, of ARPHRD_TUNNEL (768).
/// A user-space look-alike of tunl0 is a TUN device and has another type.
fn driver_is_loaded() -> bool {
    std::path::Path::new("/sys/module/ipip").exists()
        || std::fs::read_to_string("/sys/class/net/tunl0/type").is_ok_and(|kind| kind == "768\n")
}
