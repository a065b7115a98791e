//! Namespaces with names, and a node's and its pod's with the kernel opened on both.

use std::sync::atomic::{AtomicU32, Ordering};

use ipip_core::netlink::Kernel;
use ipip_core::plan::{Change, InterfaceAddr, Place, Step};
use ipip_core::sys::netns::Netns;
use serde_json::Value;

use super::shell::{sh, try_sh};

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

    /// [`try_sh`] inside.
    pub(crate) fn try_sh(&self, line: &str) -> Result<String, String> {
        try_sh(&self.netns, line)
    }

    /// [`sh`] inside.
    pub(crate) fn sh(&self, line: &str) -> String {
        sh(&self.netns, line)
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

pub(crate) fn addr(text: &str) -> InterfaceAddr {
    let (addr, len) = text.split_once('/').unwrap();
    InterfaceAddr {
        addr: addr.parse().unwrap(),
        prefix_len: len.parse().unwrap(),
    }
}
