//! A kernel that has no room for another interface.

use std::fs;
use std::path::PathBuf;
use std::thread;

use ipip_core::netlink::NetlinkError;
use ipip_core::plan::{Change, Place};

use crate::many::Wiring;

/// A control group whose threads may have little of the kernel's memory; what the process has itself is charged to
/// its main thread's group.
struct Scarce(PathBuf);

impl Scarce {
    /// `None` where there are none of version 1, in which threads of one process may be in different groups.
    fn new(octets: u32) -> Option<Self> {
        let name = format!("ipip-test-{}", std::process::id());
        let group = Self(PathBuf::from("/sys/fs/cgroup/memory").join(name));
        fs::create_dir(&group.0).ok()?;
        let write = |file: &str, text: &str| fs::write(group.0.join(file), text).ok();
        write("memory.limit_in_bytes", &octets.to_string())?;
        // What cannot be had is refused, and nobody is killed for it.
        write("memory.oom_control", "1")?;
        Some(group)
    }

    /// Takes the calling thread in, for the rest of its life.
    fn enter(&self) {
        let thread = fs::read_link("/proc/thread-self").unwrap();
        let number = thread.file_name().unwrap().as_encoded_bytes();
        fs::write(self.0.join("tasks"), number).unwrap();
    }
}

impl Drop for Scarce {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// Links are made as long as there is room; each that is refused is named in the kernel's words, what belongs to it is not
/// tried, and all of it can be had once there is room.
pub(crate) fn a_full_kernel_keeps_what_it_has() {
    let Some(scarce) = Scarce::new(3 << 20) else {
        println!("no memory control groups of version 1 here: this kernel cannot be made full");
        return;
    };
    let mut wiring = Wiring::new(60);
    // Settings are written by threads, which could not be had either.
    let steps = wiring.steps.iter().cloned();
    let steps: Vec<_> = steps
        .filter(|step| !matches!(step.change, Change::Set { .. }))
        .collect();
    let kernel = &mut wiring.kernel;
    let apply = || {
        scarce.enter();
        kernel.apply_all(&steps)
    };
    let applied = thread::scope(|scope| scope.spawn(apply).join().unwrap());
    assert!(applied.unknown.is_empty() && applied.left.is_empty());
    assert_eq!(applied.done + applied.failed.len(), steps.len());
    let mut refused = 0;
    for failed in &applied.failed {
        let step = &steps[failed.step];
        let words = ipip_core::error_chain(&failed.cause);
        match (&step.change, &failed.cause) {
            (Change::CreateVeth { name, .. }, cause) => {
                refused += 1;
                // By which of its parts there was no room for.
                let said = [
                    "Cannot allocate memory (os error 12)",
                    "No buffer space available (os error 105)",
                ];
                let said = said.map(|said| format!("link {name}: {said}"));
                assert!(said.contains(&words), "{words}");
                assert!(matches!(cause.errno(), Some(libc::ENOMEM | libc::ENOBUFS)));
            }
            (_, NetlinkError::NotTried { .. }) => {}
            // What is left is for smaller things, as long as it lasts; a default route needs that to its gateway.
            (_, cause) => assert!(
                matches!(
                    cause.errno(),
                    Some(libc::ENOMEM | libc::ENOBUFS | libc::ENETUNREACH)
                ),
                "{step}: {words}"
            ),
        }
    }
    let made = wiring.node.sh("ip -o link show type veth").lines().count();
    assert!((1..60).contains(&made), "{made} made");
    assert_eq!(made + refused, 60);

    let rest: Vec<_> = applied
        .failed
        .iter()
        .map(|failed| steps[failed.step].clone())
        .collect();
    let applied = wiring.kernel.apply_all(&rest);
    assert!(applied.is_complete(), "{applied:?}");
    let links = wiring.kernel.observe().unwrap().links;
    let ends = links.iter().filter(|link| link.kind == "veth");
    let (outer, inner): (Vec<_>, Vec<_>) = ends.partition(|link| link.place == Place::Node);
    assert_eq!((outer.len(), inner.len()), (60, 60));
    assert!(
        inner
            .iter()
            .all(|link| link.up && link.addresses.len() == 1)
    );
}
