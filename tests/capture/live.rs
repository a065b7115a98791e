//! Frames of live interfaces, against tcpdump at the same interface.

use std::net::{Ipv4Addr, UdpSocket};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant, SystemTime};

use ipip_core::capture::{CaptureError, Direction, Frame, LinkType, Live, describe};
use ipip_core::sys::netns::Netns;
use ipip_core::sys::raw::RawSocket;
use ipip_core::sys::tun::Tun;
use ipip_core::wire;

use crate::support::{A, B, Pair, Tcpdump, name, same, sh};

const SOON: Duration = Duration::from_secs(2);
const NOW: Duration = Duration::ZERO;

/// Sends `count` ICMP echo requests of our own from `netns`.
fn ping(netns: &Netns, to: Ipv4Addr, count: u16) {
    netns
        .enter(|| {
            let socket = RawSocket::icmp().unwrap();
            for sequence in 1..=count {
                let mut message = [0u8; 64];
                message[0] = 8;
                message[4..6].copy_from_slice(&7u16.to_be_bytes());
                message[6..8].copy_from_slice(&sequence.to_be_bytes());
                let checksum = wire::checksum(&message);
                message[2..4].copy_from_slice(&checksum.to_be_bytes());
                while !socket.send(&message, to).unwrap() {}
            }
        })
        .unwrap();
}

fn drain(live: &mut Live, wait: Duration) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some(frame) = live.next_frame(wait).unwrap() {
        frames.push(frame);
    }
    frames
}

pub(crate) fn frames_are_tcpdumps() {
    let pair = Pair::new();
    let before = SystemTime::now();
    let mut live = Live::open(&pair.a, &name("eth0")).unwrap();
    let oracle = Tcpdump::start(&pair.a, "eth0", "");
    ping(&pair.a, B, 20);
    // The stamps are the kernel's, not those of this later moment.
    std::thread::sleep(Duration::from_millis(20));
    let after = SystemTime::now() - Duration::from_millis(10);
    let frames = drain(&mut live, Duration::from_millis(100));
    let octets: Vec<_> = frames.iter().map(|frame| frame.octets.clone()).collect();
    same(&octets, &oracle.stop_at(octets.len()), "frames");
    // ARP request and reply, then 20 requests and 20 replies.
    assert_eq!(frames.len(), 42, "frames");
    assert_eq!(live.counts().unwrap().seen, 42, "frames counted");
    let outgoing = frames.iter().filter(|f| f.direction == Direction::Outgoing);
    assert_eq!(outgoing.count(), 21, "outgoing frames");
    for pair in frames.windows(2) {
        assert!(pair[0].time <= pair[1].time, "time runs back");
    }
    let stamps = frames.iter().map(|frame| frame.time);
    let inside = stamps.clone().all(|time| time >= before && time <= after);
    assert!(inside, "stamps are not from the time of the test");
    let coarse = stamps.filter(|time| {
        let since = time.duration_since(SystemTime::UNIX_EPOCH);
        since.is_ok_and(|since| since.subsec_nanos() % 1000 == 0)
    });
    assert!(coarse.count() < 10, "stamps have no nanoseconds");
}

pub(crate) fn a_tun_device_gives_raw_ip() {
    let pair = Pair::new();
    let tun = pair
        .a
        .enter(|| Tun::create(&name("tunl0")))
        .unwrap()
        .unwrap();
    sh(
        &pair.a,
        "ip link set tunl0 up; ip addr add 10.244.79.1/32 dev tunl0",
    );
    sh(&pair.a, "ip route add 10.244.244.64/26 dev tunl0");
    let mut live = Live::open(&pair.a, &name("tunl0")).unwrap();
    assert_eq!(live.link_type(), LinkType::RawIp, "link type");
    let oracle = Tcpdump::start(&pair.a, "tunl0", "");
    ping(&pair.a, Ipv4Addr::new(10, 244, 244, 73), 1);
    let frames = drain(&mut live, Duration::from_millis(100));
    let octets: Vec<_> = frames.iter().map(|frame| frame.octets.clone()).collect();
    same(&octets, &oracle.stop_at(octets.len()), "frames");
    assert_eq!(octets.len(), 1, "frames");
    let line = describe::line(&frames[0]);
    let (_, line) = line.split_once(' ').expect("a time");
    let expected = "IP 10.244.79.1 > 10.244.244.73: ICMP echo request, id 7, seq 1, length 64";
    assert_eq!(line, expected, "line");
    drop(tun);
}

pub(crate) fn vlan_tags_are_put_back() {
    let pair = Pair::new();
    let mut live = Live::open(&pair.b, &name("eth0")).unwrap();
    let oracle = Tcpdump::start(&pair.b, "eth0", "");
    // The receiving kernel takes the tag out of the frame, whether or not it knows the VLAN.
    let tagged = "ff".repeat(6) + "0a0000000001" + "8100" + "6005" + "88b5" + &"2a".repeat(46);
    let send = format!(
        "python3 -c 'import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((\"eth0\", 0))
for _ in range(2): s.send(bytes.fromhex(\"{tagged}\"))'"
    );
    sh(&pair.a, &send);
    let frames = drain(&mut live, Duration::from_millis(100));
    let octets: Vec<_> = frames.iter().map(|frame| frame.octets.clone()).collect();
    same(&octets, &oracle.stop_at(octets.len()), "frames");
    assert_eq!(frames.len(), 2, "frames");
    for frame in &frames {
        assert_eq!(&frame.octets[12..16], &[0x81, 0, 0x60, 5][..], "tag");
        assert_eq!(frame.original_len, frame.octets.len(), "length");
    }
}

pub(crate) fn a_pending_checksum_is_told() {
    let pair = Pair::new();
    let mut live = Live::open(&pair.b, &name("eth0")).unwrap();
    ping(&pair.a, B, 1);
    pair.a
        .enter(|| {
            UdpSocket::bind((A, 4000))
                .unwrap()
                .send_to(b"hello", (B, 5000))
        })
        .unwrap()
        .unwrap();
    let frames = drain(&mut live, Duration::from_millis(100));
    // veth leaves UDP's checksum to the receiver; ICMP has none to leave.
    for frame in frames.iter().filter(|f| f.direction == Direction::Incoming) {
        let text = describe::tree(frame).to_string();
        let udp = text.contains("User Datagram");
        assert_eq!(frame.checksum_pending, udp, "pending checksum");
        assert_eq!(text.contains("[unfinished"), udp, "word in the tree");
    }
    assert!(frames.iter().any(|f| f.checksum_pending), "no UDP");
}

pub(crate) fn timeouts_are_precise() {
    let netns = Netns::create_unnamed().unwrap();
    let mut live = Live::open(&netns, &name("lo")).unwrap();
    for timeout in [0, 1, 10, 50].map(Duration::from_millis) {
        let mut shortest = Duration::MAX;
        // The best of five: on a busy machine the scheduler adds to some.
        for _ in 0..5 {
            let start = Instant::now();
            assert!(live.next_frame(timeout).unwrap().is_none(), "a frame");
            let took = start.elapsed();
            assert!(took >= timeout, "{took:?} of {timeout:?}");
            shortest = shortest.min(took);
        }
        let late = shortest - timeout;
        assert!(late < Duration::from_millis(5), "{late:?} too late");
    }
}

pub(crate) fn a_stop_ends_a_wait_and_keeps_what_passed() {
    let pair = Pair::new();
    let mut live = Live::open(&pair.a, &name("eth0")).unwrap();
    ping(&pair.a, B, 5);
    drain(&mut live, Duration::from_millis(50));
    let stopper = live.stopper();
    let waiting = std::thread::spawn(move || {
        let frame = live.next_frame(Duration::MAX);
        (live, frame)
    });
    std::thread::sleep(Duration::from_millis(20));
    assert!(!waiting.is_finished(), "did not wait");
    stopper.stop();
    let (live, frame) = waiting.join().unwrap();
    assert!(frame.unwrap().is_none() && live.is_stopped(), "not stopped");

    let mut live = Live::open(&pair.a, &name("eth0")).unwrap();
    ping(&pair.a, B, 5);
    live.stopper().stop();
    ping(&pair.a, B, 5);
    assert_eq!(
        drain(&mut live, Duration::MAX).len(),
        10,
        "frames that passed before"
    );
}

/// The kernel tells nothing when an interface is removed that is down already.
pub(crate) fn an_interface_removed_while_down_is_told() {
    let pair = Pair::new();
    let mut live = Live::open(&pair.a, &name("eth0")).unwrap();
    sh(&pair.a, "ip link set eth0 down");
    let told = live.next_frame(SOON).err().map(|error| error.to_string());
    assert_eq!(told.as_deref(), Some("interface eth0 went down"), "first");
    assert!(live.next_frame(NOW).unwrap().is_none(), "told twice");
    sh(&pair.a, "ip link del eth0");
    for timeout in [NOW, Duration::MAX] {
        match live.next_frame(timeout) {
            Err(CaptureError::Gone { .. }) => {}
            other => panic!("expected Gone, found {other:?}"),
        }
    }
}

pub(crate) fn an_interface_that_goes_down_is_told() {
    let pair = Pair::new();
    sh(&pair.a, "ip link set eth0 down");
    // Open while it is down: no error, frames come later.
    let mut live = Live::open(&pair.a, &name("eth0")).unwrap();
    assert!(live.next_frame(NOW).unwrap().is_none(), "a frame");
    sh(&pair.a, "ip link set eth0 up");
    pair.wait_until_up();
    ping(&pair.a, B, 1);
    assert!(live.next_frame(SOON).unwrap().is_some(), "no frame");
    drain(&mut live, Duration::from_millis(50));
    ping(&pair.a, B, 1);
    sh(&pair.a, "ip link set eth0 down");
    // What passed before comes first.
    assert!(live.next_frame(SOON).unwrap().is_some(), "frame lost");
    assert!(live.next_frame(SOON).unwrap().is_some(), "frame lost");
    let error = live.next_frame(SOON).unwrap_err();
    assert_eq!(error.to_string(), "interface eth0 went down", "message");
    assert!(live.next_frame(NOW).unwrap().is_none(), "told twice");
    sh(&pair.a, "ip link set eth0 up");
    pair.wait_until_up();
    ping(&pair.a, B, 1);
    assert!(live.next_frame(SOON).unwrap().is_some(), "no frame");
    drain(&mut live, Duration::from_millis(50));
    sh(&pair.a, "ip link del eth0");
    for _ in 0..2 {
        match live.next_frame(SOON) {
            Err(CaptureError::Gone { .. }) => {}
            other => panic!("not gone: {other:?}"),
        }
    }
}

pub(crate) fn drops_are_counted() {
    let pair = Pair::new();
    let mut live = Live::open(&pair.a, &name("lo")).unwrap();
    pair.a
        .enter(|| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            // Nobody reads this one either; 40,000 datagrams do not fit the buffer.
            let to = UdpSocket::bind("127.0.0.1:0").unwrap();
            for _ in 0..40_000 {
                socket
                    .send_to(&[0; 1400], to.local_addr().unwrap())
                    .unwrap();
            }
        })
        .unwrap();
    let counts = live.counts().unwrap();
    assert!(counts.dropped > 0, "{counts:?}");
    // Sent and received: loopback shows both.
    assert_eq!(counts.seen, 80_000, "frames seen");
    let read = u64::try_from(drain(&mut live, NOW).len()).unwrap();
    assert_eq!(
        read + live.counts().unwrap().dropped,
        counts.seen,
        "frames read and dropped"
    );
}

pub(crate) fn faults_name_their_object() {
    let netns = Netns::create_unnamed().unwrap();
    let error = Live::open(&netns, &name("eth7")).unwrap_err();
    let expected = format!("no interface eth7 in network namespace {netns}");
    assert_eq!(error.to_string(), expected, "missing interface");
    assert_eq!(error.errno(), Some(libc::ENODEV), "errno");
    // A TUN device can be given any hardware type; 512 is PPP.
    sh(&netns, "ip tuntap add dev ppp0 mode tun");
    sh(
        &netns,
        "python3 -c 'import fcntl, struct
f = open(\"/dev/net/tun\", \"r+b\", buffering=0)
fcntl.ioctl(f, 0x400454ca, struct.pack(\"16sH22x\", b\"ppp0\", 0x1001))
fcntl.ioctl(f, 0x400454cd, 512)'",
    );
    let error = Live::open(&netns, &name("ppp0")).unwrap_err();
    let expected = "interface ppp0 has hardware type 512, this library reads Ethernet (1, 772) and raw IP (768, 65534)";
    assert_eq!(error.to_string(), expected, "hardware type");
}

/// Tells this program to be the child of `missing_privilege_is_named`.
pub(crate) const CHILD: &str = "IPIP_TEST_WITHOUT_CAP_NET_RAW";

pub(crate) fn missing_privilege_is_named() {
    let output = Command::new("setpriv")
        .args(["--bounding-set=-net_raw", "--inh-caps=-net_raw"])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.starts_with("capturing on interface lo needs CAP_NET_RAW in the user namespace"),
        "{text}"
    );
    assert!(text.trim_end().ends_with("Some(1)"), "{text}");
}

pub(crate) fn unprivileged_child() -> ExitCode {
    let opened = Netns::current().map(|netns| Live::open(&netns, &name("lo")));
    match opened {
        Ok(Err(error)) => println!("{error} {:?}", error.errno()),
        other => println!("{other:?}"),
    }
    ExitCode::SUCCESS
}
