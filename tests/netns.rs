//! Network namespaces by name: what is made, what is removed, and what stays untouched.

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Barrier;
use std::time::Duration;

use ipip_core::sys::netns::{Netns, NetnsError};
use support::{Needs, Test};

/// Set in the child, which has a mount namespace of its own with an empty `/run`.
const CHILD: &str = "IPIP_TEST_OWN_RUN";

const TESTS: &[Test] = &[
    (
        "a_creation_waits_for_anothers_mount",
        Needs::Root,
        a_creation_waits_for_anothers_mount,
    ),
    (
        "names_made_at_once_share_one_mount",
        Needs::Root,
        names_made_at_once_share_one_mount,
    ),
    (
        "a_link_is_not_followed",
        Needs::Root,
        a_link_is_not_followed,
    ),
    (
        "a_removal_says_whether_it_was_there",
        Needs::Root,
        a_removal_says_whether_it_was_there,
    ),
    (
        "what_is_no_namespace_is_refused",
        Needs::Root,
        what_is_no_namespace_is_refused,
    ),
    (
        "a_clone_outlives_its_original",
        Needs::Root,
        a_clone_outlives_its_original,
    ),
    (
        "each_is_entered_in_turn_and_the_caller_stays",
        Needs::Root,
        each_is_entered_in_turn_and_the_caller_stays,
    ),
];

fn main() -> ExitCode {
    if std::env::var_os(CHILD).is_some() || Netns::create_unnamed().is_err() {
        return support::run(1, TESTS);
    }
    let script = "mount -t tmpfs none /run && exec \"$@\"";
    let status = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .args(std::env::args_os())
        .env(CHILD, "1")
        .status()
        .expect("unshare is there");
    ExitCode::from(u8::from(!status.success()))
}

/// How often something is mounted on `path`, not counting what our `/run` hides.
fn mounts_on(path: &str) -> usize {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    let points: Vec<&str> = points.collect();
    let ours = points.iter().rposition(|point| *point == "/run").unwrap();
    points[ours..]
        .iter()
        .filter(|point| **point == path)
        .count()
}

fn names_made_at_once_share_one_mount() {
    let names: Vec<String> = (0..16).map(|i| format!("at-once-{i}")).collect();
    let start = Barrier::new(names.len());
    std::thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| {
                start.wait();
                Netns::create(name).unwrap();
            });
        }
    });
    assert_eq!(mounts_on("/run/netns"), 1);
    for name in &names {
        assert_eq!(mounts_on(&format!("/run/netns/{name}")), 1);
        assert!(Netns::remove(name).unwrap());
    }
    assert_eq!(fs::read_dir("/run/netns").unwrap().count(), 0);
}

fn a_creation_waits_for_anothers_mount() {
    fs::create_dir_all("/run/netns").unwrap();
    let lock = fs::File::open("/run/netns").unwrap();
    lock.lock().unwrap();
    std::thread::scope(|scope| {
        let creation = scope.spawn(|| Netns::create("waits").map(drop));
        std::thread::sleep(Duration::from_millis(100));
        assert!(!creation.is_finished());
        lock.unlock().unwrap();
        creation.join().unwrap().unwrap();
    });
    assert!(Netns::remove("waits").unwrap());
}

fn a_link_is_not_followed() {
    fs::create_dir_all("/run/netns").unwrap();
    symlink("/run", "/run/netns/link").unwrap();
    assert!(Netns::remove("link").unwrap());
    assert_eq!(mounts_on("/run"), 1);
    symlink("/run/nothing", "/run/netns/link").unwrap();
    assert!(Netns::remove("link").unwrap());
    assert!(!Path::new("/run/netns/link").is_symlink());
}

fn a_removal_says_whether_it_was_there() {
    Netns::create("there").unwrap();
    let error = Netns::create("there").unwrap_err();
    assert_eq!(error.errno(), Some(libc::EEXIST));
    assert!(Netns::remove("there").unwrap());
    assert!(!Netns::remove("there").unwrap());
    // What a creation that was killed leaves.
    fs::write("/run/netns/half", "").unwrap();
    assert!(Netns::remove("half").unwrap());
}

fn what_is_no_namespace_is_refused() {
    let made = Command::new("mkfifo").arg("/run/fifo").status().unwrap();
    assert!(made.success());
    for path in ["/run/fifo", "/proc/self/ns/uts", "/run"] {
        let error = Netns::open(path).unwrap_err();
        assert!(matches!(error, NetnsError::NotNetns { .. }), "{error}");
    }
    let error = Netns::create("a\0b").unwrap_err();
    assert_eq!(
        error.to_string(),
        "namespace name \"a\\0b\" must be 1 to 255 octets without '/' or NUL, and not '.' or '..'"
    );
}

fn a_clone_outlives_its_original() {
    let netns = Netns::create_unnamed().unwrap();
    let clone = netns.try_clone().unwrap();
    assert!(clone.is_same(&netns));
    drop(netns);
    assert!(Netns::open(clone.path()).unwrap().is_same(&clone));
}

fn each_is_entered_in_turn_and_the_caller_stays() {
    let here = || fs::read_link("/proc/thread-self/ns/net").unwrap();
    let own = here();
    let all = [(); 3].map(|()| Netns::create_unnamed().unwrap());
    let one_by_one = all.each_ref().map(|netns| netns.enter(here).unwrap());
    let [first, second, third] = &all;
    let entered = Netns::enter_each(&[third, first, second, first], here);
    let entered: Vec<_> = entered.into_iter().map(Result::unwrap).collect();
    let [one, two, three] = one_by_one;
    assert_eq!(entered, [three, one.clone(), two, one]);
    assert_eq!(here(), own);
    assert!(Netns::enter_each(&[], here).is_empty());
}
