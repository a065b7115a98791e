//! Namespaces for one test, the tools that look into them, and the harness that says what it skips.
//!
//! A test acts through the library and looks through `ip -j`, which shares no code with it.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use ipip_core::name::InterfaceName;
use ipip_core::netlink::Kernel;
use ipip_core::plan::{Change, InterfaceAddr, Place, Step};
use ipip_core::sys::netns::Netns;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

/// Name, what it needs, and the test, which panics where it fails.
pub(crate) type Test = (&'static str, Needs, fn());

/// What a test needs of the machine besides this crate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Needs {
    /// Nothing: it opens no socket.
    Nothing,
    /// Namespaces of its own.
    Root,
    /// Those, and the kernel's ipip driver: the guests of `tests/kernel` have it.
    Driver,
    /// Those, and a kernel without the driver.
    NoDriver,
}

/// Runs the tests one after the other, since some turn kernel-wide switches. A test whose needs are
/// not met is ignored, and the reason printed.
pub(crate) fn run(tests: &[Test]) {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let missing = missing();
    let trials = tests.iter().map(|&(name, needs, test)| {
        let reason = missing.iter().find(|(what, _)| *what == needs);
        if let Some((_, reason)) = reason {
            eprintln!("{name}: skipped, {reason}");
        }
        let trial = Trial::test(name, move || {
            test();
            Ok::<(), Failed>(())
        });
        trial.with_ignored_flag(reason.is_some())
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// What cannot be tested here, and why.
fn missing() -> Vec<(Needs, &'static str)> {
    if Netns::create_unnamed().is_err() {
        let reason = "no namespace can be made (root?)";
        return [Needs::Root, Needs::Driver, Needs::NoDriver]
            .map(|needs| (needs, reason))
            .into();
    }
    if has_driver() {
        vec![(Needs::NoDriver, "this kernel has the ipip driver")]
    } else {
        vec![(Needs::Driver, "this kernel has no ipip driver")]
    }
}

/// Whether the kernel makes ipip devices, asked of `ip`.
fn has_driver() -> bool {
    let node = Named::new("probe");
    let made = node.try_sh("ip link show tunl0 || ip link add tunl0 type ipip");
    made.is_ok()
}

/// A namespace with a name, removed when it goes out of scope.
pub(crate) struct Named {
    pub(crate) netns: Netns,
    pub(crate) name: String,
}

impl Named {
    pub(crate) fn new(what: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ipip-test-{}-{count}-{what}", std::process::id());
        Self {
            netns: Netns::create(&name).unwrap(),
            name,
        }
    }

    /// What `sh -c LINE` prints inside, or what it complains of.
    pub(crate) fn try_sh(&self, line: &str) -> Result<String, String> {
        let output = Command::new("nsenter")
            .arg(format!("--net={}", self.netns.path().display()))
            .args(["sh", "-c", line])
            .output()
            .unwrap();
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout).unwrap());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// What `sh -c LINE` prints inside; it must succeed.
    pub(crate) fn sh(&self, line: &str) -> String {
        self.try_sh(line)
            .unwrap_or_else(|errors| panic!("{line}: {errors}"))
    }

    /// What `ip -j WORDS` reports inside.
    pub(crate) fn ip(&self, words: &str) -> Vec<Value> {
        let text = self.sh(&format!("ip -j {words}"));
        serde_json::from_str(if text.trim().is_empty() { "[]" } else { &text }).unwrap()
    }

    /// A value below `/proc/sys/net/ipv4`.
    pub(crate) fn sysctl(&self, key: &str) -> String {
        let text = self.sh(&format!("cat /proc/sys/net/ipv4/{key}"));
        text.trim().to_owned()
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        if let Err(error) = Netns::remove(&self.name) {
            eprintln!("{}: {error}", self.name);
        }
    }
}

/// A node's namespace with one pod's, and the kernel opened on both.
pub(crate) struct World {
    pub(crate) node: Named,
    pub(crate) pod: Named,
    pub(crate) kernel: Kernel,
    /// Where the pod is.
    pub(crate) inside: Place,
}

impl World {
    pub(crate) fn new() -> Self {
        let (node, pod) = (Named::new("node"), Named::new("pod"));
        let mut kernel = Kernel::open(&node.netns).unwrap();
        let inside = kernel.add_workload(&pod.netns).unwrap();
        Self {
            node,
            pod,
            kernel,
            inside,
        }
    }

    /// Carries out one change in the node's namespace.
    pub(crate) fn apply(&mut self, change: Change) {
        self.kernel.apply(&[at(&Place::Node, change)]).unwrap();
    }
}

pub(crate) fn at(place: &Place, change: Change) -> Step {
    Step {
        place: place.clone(),
        change,
    }
}

pub(crate) fn name(text: &str) -> InterfaceName {
    InterfaceName::try_new(text).unwrap()
}

pub(crate) fn addr(text: &str) -> InterfaceAddr {
    let (addr, len) = text.split_once('/').unwrap();
    InterfaceAddr {
        addr: addr.parse().unwrap(),
        prefix_len: len.parse().unwrap(),
    }
}
