//! What the kernel gives, and what remains where it gives less: strace refuses in its place.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use ipip_core::capture::Live;
use ipip_core::sys::netns::Netns;
use ipip_core::sys::raw::RawSocket;
use ipip_core::wire::{self, Ipv4View, Layer};

use crate::inbound::joined_segments;
use crate::path::start;
use crate::support::{A, B, Pair, name, sh, try_sh};
use crate::traffic::transfer;
use crate::world::{IN_A, IN_B, SOON, configure, echo, header, packet};

/// Tells this program to be the child that carries node A's packets, in the namespace that it names.
pub(crate) const CHILD: &str = "IPIP_TEST_REFUSED";

/// Carries until its standard input ends.
pub(crate) fn child(netns: &std::ffi::OsStr) -> ExitCode {
    let netns = Netns::open(Path::new(netns)).unwrap();
    let path = start(&netns, A).unwrap();
    println!("started");
    let ended = std::io::stdin().read_to_end(&mut Vec::new());
    ended.unwrap();
    drop(path);
    ExitCode::SUCCESS
}

/// The child under strace, which gives `EINVAL` for the calls that `refuse` names (name and `when` of strace).
fn traced(netns: &Netns, refuse: Option<(&str, &str)>) -> (Child, std::path::PathBuf) {
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let name = format!("ipip-refused-{}-{number}", std::process::id());
    let trace = std::env::temp_dir().join(name);
    let inject = refuse.map(|(call, when)| format!("inject={call}:error=EINVAL:when={when}"));
    let mut command = Command::new("strace");
    // Only what is asked of the device file, whatever else asks.
    command
        .args(["-f", "-P", "/dev/net/tun", "-e", "trace=ioctl,writev", "-o"])
        .arg(&trace);
    if let Some(inject) = &inject {
        command.args(["-e", inject]);
    }
    let mut child = command
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, netns.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let said = BufReader::new(child.stdout.take().unwrap()).read_line(&mut line);
    said.unwrap();
    assert_eq!(line, "started\n", "refusing {refuse:?}");
    (child, trace)
}

/// Ends it; what its calls of ioctl were.
fn end((mut child, trace): (Child, std::path::PathBuf)) -> String {
    drop(child.stdin.take());
    child.wait().unwrap();
    let calls = std::fs::read_to_string(&trace).unwrap();
    std::fs::remove_file(&trace).unwrap();
    calls
}

/// Which call of its thread is the first to name `request`; strace counts from 1, each thread by itself.
fn place_of(request: &str, calls: &str) -> usize {
    let thread = |line: &str| line.split(' ').next().map(str::to_owned);
    let found = calls.lines().find(|line| line.contains(request));
    let thread_of = thread(found.unwrap_or_else(|| panic!("no {request} in {calls}")));
    let of_thread = calls
        .lines()
        .filter(|line| thread(line) == thread_of && line.contains("ioctl("));
    of_thread.take_while(|line| !line.contains(request)).count() + 1
}

pub(crate) fn it_carries_where_offloads_are_refused() {
    if Command::new("strace").arg("-V").output().is_err() {
        println!("skipped: strace is not installed");
        return;
    }
    let pair = Pair::new();
    let calls = end(traced(&pair.a, None));
    let (device, offload) = (
        place_of("TUNSETIFF", &calls),
        place_of("TUNSETOFFLOAD", &calls),
    );
    // One where the kernel gives all, more where it has no USO.
    let unhindered = calls.matches("TUNSETOFFLOAD").count();
    let path_b = start(&pair.b, B).unwrap();
    configure(&pair.b, IN_B, "10.244.79.0/26");
    for (what, when, offers) in [
        ("nothing", "65535".to_owned(), unhindered),
        ("UDP in segments", offload.to_string(), unhindered.max(2)),
        ("all segments", format!("{offload}..{}", offload + 1), 3),
        ("checksums too", format!("{offload}..{}", offload + 2), 3),
        ("notes", device.to_string(), 0),
    ] {
        let child = traced(&pair.a, Some(("ioctl", &when)));
        configure(&pair.a, IN_A, "10.244.244.64/26");
        let came = echo(&pair.a, IN_B, 1, SOON);
        assert!(came, "no echo without {what}");
        transfer(&pair.a, &pair.b, IN_B, 1 << 20);
        transfer(&pair.b, &pair.a, IN_A, 1 << 20);
        let calls = end(child);
        let asked = calls.matches("TUNSETOFFLOAD").count();
        assert_eq!(asked, offers, "offers without {what}: {calls}");
        let gone = try_sh(&pair.a, "ip link show tunl0");
        assert!(gone.is_err(), "the device is left");
    }
    assert_eq!(path_b.counters().drops.total(), 0, "drops");
}

/// Segments that were joined on their way go to a device that takes none cut as it takes them, the first of them too:
/// one without notes, and one that refuses at the writing.
pub(crate) fn joined_segments_are_cut_for_a_device_that_takes_none() {
    const PAYLOAD: usize = 20_000;
    if Command::new("strace").arg("-V").output().is_err() {
        println!("skipped: strace is not installed");
        return;
    }
    let pair = Pair::new();
    for netns in [&pair.a, &pair.b] {
        sh(netns, "ip link set eth0 mtu 65535");
    }
    let device = place_of("TUNSETIFF", &end(traced(&pair.a, None))).to_string();
    let joined = packet(header(4, B, A), &joined_segments(IN_B, IN_A, PAYLOAD));
    let sender = pair.b.enter(RawSocket::ipip).unwrap().unwrap();
    for refuse in [("ioctl", &*device), ("writev", "1")] {
        let child = traced(&pair.a, Some(refuse));
        configure(&pair.a, IN_A, "10.244.244.64/26");
        let mut live = Live::open(&pair.a, &name("tunl0")).unwrap();
        for round in ["the first", "the second"] {
            assert!(sender.send(&joined, A).unwrap(), "sent");
            let mut arrived = 0;
            while arrived < PAYLOAD {
                let frame = live.next_frame(SOON).unwrap();
                let frame = frame.unwrap_or_else(|| panic!("{arrived} of {round}, {refuse:?}"));
                let piece = Ipv4View::parse(&frame.octets, Layer::Inner).unwrap();
                // What goes the other way says that nobody listens.
                if piece.source() == IN_B {
                    let segment = piece.payload();
                    let len = u16::try_from(segment.len()).unwrap();
                    let pseudo = wire::pseudo_header_sum(IN_B, IN_A, 6, len);
                    let sum = wire::combine(wire::sum(segment), pseudo);
                    assert_eq!(sum, 0xffff, "checksum in {round}, {refuse:?}");
                    assert!(frame.octets.len() <= 1480, "{}", frame.octets.len());
                    arrived += segment.len() - 20;
                }
            }
            assert_eq!(arrived, PAYLOAD, "octets of {round}, {refuse:?}");
        }
        let calls = end(child);
        let refused = calls.matches("(INJECTED)").count();
        assert_eq!(refused, 1, "{refuse:?}: {calls}");
    }
}
