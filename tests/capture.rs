//! Live capture, capture files and their explanation, against tcpdump and tshark.

mod two_netns;

use std::net::{Ipv4Addr, UdpSocket};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant, SystemTime};

use ipip_core::capture::CaptureError;
use ipip_core::capture::Live;
use ipip_core::capture::PcapWriter;
use ipip_core::capture::describe;
use ipip_core::capture::{Direction, Frame, LinkType};
use ipip_core::sys::netns::Netns;
use ipip_core::sys::raw::RawSocket;
use ipip_core::sys::tun::Tun;
use ipip_core::wire;
use two_netns::{A, B, Outcome, Pair, Scratch, Tcpdump, ensure, fail, name, same, sh};

const SOON: Duration = Duration::from_secs(2);
const NOW: Duration = Duration::ZERO;

fn main() -> ExitCode {
    if std::env::var_os(CHILD).is_some() {
        return unprivileged_child();
    }
    two_netns::run(
        &[
            ("lines_are_tcpdumps", lines_are_tcpdumps),
            ("tcpdump_reads_our_files", tcpdump_reads_our_files),
            ("trees_are_tsharks", trees_are_tsharks),
        ],
        &[
            ("frames_are_tcpdumps", frames_are_tcpdumps),
            ("a_tun_device_gives_raw_ip", a_tun_device_gives_raw_ip),
            ("vlan_tags_are_put_back", vlan_tags_are_put_back),
            ("a_pending_checksum_is_told", a_pending_checksum_is_told),
            ("timeouts_are_precise", timeouts_are_precise),
            (
                "a_stop_ends_a_wait_and_keeps_what_passed",
                a_stop_ends_a_wait_and_keeps_what_passed,
            ),
            (
                "an_interface_that_goes_down_is_told",
                an_interface_that_goes_down_is_told,
            ),
            ("drops_are_counted", drops_are_counted),
            ("faults_name_their_object", faults_name_their_object),
            ("missing_privilege_is_named", missing_privilege_is_named),
        ],
    )
}

/// Sends `count` ICMP echo requests of our own from `netns`.
fn ping(netns: &Netns, to: Ipv4Addr, count: u16) -> Outcome {
    netns.enter(|| {
        let socket = RawSocket::icmp()?;
        for sequence in 1..=count {
            let mut message = [0u8; 64];
            message[0] = 8;
            message[4..6].copy_from_slice(&7u16.to_be_bytes());
            message[6..8].copy_from_slice(&sequence.to_be_bytes());
            let checksum = wire::checksum(&message);
            message[2..4].copy_from_slice(&checksum.to_be_bytes());
            while !socket.send(&message, to)? {}
        }
        Ok(())
    })?
}

fn drain(live: &mut Live, wait: Duration) -> Result<Vec<Frame>, CaptureError> {
    let mut frames = Vec::new();
    while let Some(frame) = live.next_frame(wait)? {
        frames.push(frame);
    }
    Ok(frames)
}

fn frames_are_tcpdumps() -> Outcome {
    let pair = Pair::new()?;
    let before = SystemTime::now();
    let mut live = Live::open(&pair.a, &name("eth0"))?;
    let oracle = Tcpdump::start(&pair.a, "eth0", "")?;
    ping(&pair.a, B, 20)?;
    let frames = drain(&mut live, Duration::from_millis(100))?;
    let octets: Vec<_> = frames.iter().map(|frame| frame.octets.clone()).collect();
    same(&octets, &oracle.stop_at(octets.len())?, "frames")?;
    // ARP request and reply, then 20 requests and 20 replies.
    same(&frames.len(), &42, "frames")?;
    same(&live.counts()?.seen, &42, "frames counted")?;
    let outgoing = frames.iter().filter(|f| f.direction == Direction::Outgoing);
    same(&outgoing.count(), &21, "outgoing frames")?;
    for pair in frames.windows(2) {
        ensure(pair[0].time <= pair[1].time, || "time runs back".into())?;
    }
    let stamps = frames.iter().map(|frame| frame.time);
    let inside = stamps
        .clone()
        .all(|t| t >= before && t <= SystemTime::now());
    ensure(inside, || "stamps are not from the time of the test".into())?;
    let coarse = stamps.filter(|time| {
        let since = time.duration_since(SystemTime::UNIX_EPOCH);
        since.is_ok_and(|since| since.subsec_nanos() % 1000 == 0)
    });
    ensure(coarse.count() < 10, || "stamps have no nanoseconds".into())
}

fn a_tun_device_gives_raw_ip() -> Outcome {
    let pair = Pair::new()?;
    let tun = pair.a.enter(|| Tun::create(&name("tunl0")))??;
    sh(
        &pair.a,
        "ip link set tunl0 up; ip addr add 10.244.79.1/32 dev tunl0",
    )?;
    sh(&pair.a, "ip route add 10.244.244.64/26 dev tunl0")?;
    let mut live = Live::open(&pair.a, &name("tunl0"))?;
    same(&live.link_type(), &LinkType::RawIp, "link type")?;
    let oracle = Tcpdump::start(&pair.a, "tunl0", "")?;
    ping(&pair.a, Ipv4Addr::new(10, 244, 244, 73), 1)?;
    let frames = drain(&mut live, Duration::from_millis(100))?;
    let octets: Vec<_> = frames.iter().map(|frame| frame.octets.clone()).collect();
    same(&octets, &oracle.stop_at(octets.len())?, "frames")?;
    same(&octets.len(), &1, "frames")?;
    let line = describe::line(&frames[0]);
    let (_, line) = line.split_once(' ').ok_or("no time")?;
    let expected = "IP 10.244.79.1 > 10.244.244.73: ICMP echo request, id 7, seq 1, length 64";
    same(&line, &expected, "line")?;
    drop(tun);
    Ok(())
}

fn vlan_tags_are_put_back() -> Outcome {
    let pair = Pair::new()?;
    let mut live = Live::open(&pair.b, &name("eth0"))?;
    let oracle = Tcpdump::start(&pair.b, "eth0", "")?;
    // The receiving kernel takes the tag out of the frame, whether or not it knows the VLAN.
    let tagged = "ff".repeat(6) + "0a0000000001" + "8100" + "6005" + "88b5" + &"2a".repeat(46);
    let send = format!(
        "python3 -c 'import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((\"eth0\", 0))
for _ in range(2): s.send(bytes.fromhex(\"{tagged}\"))'"
    );
    sh(&pair.a, &send)?;
    let frames = drain(&mut live, Duration::from_millis(100))?;
    let octets: Vec<_> = frames.iter().map(|frame| frame.octets.clone()).collect();
    same(&octets, &oracle.stop_at(octets.len())?, "frames")?;
    same(&frames.len(), &2, "frames")?;
    for frame in &frames {
        same(&&frame.octets[12..16], &&[0x81, 0, 0x60, 5][..], "tag")?;
        same(&frame.original_len, &frame.octets.len(), "length")?;
    }
    Ok(())
}

fn a_pending_checksum_is_told() -> Outcome {
    let pair = Pair::new()?;
    let mut live = Live::open(&pair.b, &name("eth0"))?;
    ping(&pair.a, B, 1)?;
    pair.a
        .enter(|| UdpSocket::bind((A, 4000))?.send_to(b"hello", (B, 5000)))??;
    let frames = drain(&mut live, Duration::from_millis(100))?;
    // veth leaves UDP's checksum to the receiver; ICMP has none to leave.
    for frame in frames.iter().filter(|f| f.direction == Direction::Incoming) {
        let text = describe::tree(frame).to_string();
        let udp = text.contains("User Datagram");
        same(&frame.checksum_pending, &udp, "pending checksum")?;
        same(&text.contains("[unfinished"), &udp, "word in the tree")?;
    }
    ensure(frames.iter().any(|f| f.checksum_pending), || {
        "no UDP".into()
    })
}

fn timeouts_are_precise() -> Outcome {
    let netns = Netns::create_unnamed()?;
    let mut live = Live::open(&netns, &name("lo"))?;
    for millis in [0, 1, 10, 50] {
        let timeout = Duration::from_millis(millis);
        let start = Instant::now();
        ensure(live.next_frame(timeout)?.is_none(), || "a frame".into())?;
        let took = start.elapsed();
        let allowed = timeout..timeout + Duration::from_millis(30);
        ensure(allowed.contains(&took), || {
            format!("{took:?} of {timeout:?}")
        })?;
    }
    Ok(())
}

fn a_stop_ends_a_wait_and_keeps_what_passed() -> Outcome {
    let pair = Pair::new()?;
    let mut live = Live::open(&pair.a, &name("eth0"))?;
    ping(&pair.a, B, 5)?;
    drain(&mut live, Duration::from_millis(50))?;
    let stopper = live.stopper();
    let waiting = std::thread::spawn(move || {
        let frame = live.next_frame(Duration::MAX);
        (live, frame)
    });
    std::thread::sleep(Duration::from_millis(20));
    ensure(!waiting.is_finished(), || "did not wait".into())?;
    stopper.stop();
    let (live, frame) = waiting.join().map_err(|_| "the waiter panicked")?;
    ensure(frame?.is_none() && live.is_stopped(), || {
        "not stopped".into()
    })?;

    let mut live = Live::open(&pair.a, &name("eth0"))?;
    ping(&pair.a, B, 5)?;
    live.stopper().stop();
    ping(&pair.a, B, 5)?;
    same(
        &drain(&mut live, Duration::MAX)?.len(),
        &10,
        "frames that passed before",
    )
}

fn an_interface_that_goes_down_is_told() -> Outcome {
    let pair = Pair::new()?;
    sh(&pair.a, "ip link set eth0 down")?;
    // Open while it is down: no error, frames come later.
    let mut live = Live::open(&pair.a, &name("eth0"))?;
    ensure(live.next_frame(NOW)?.is_none(), || "a frame".into())?;
    sh(&pair.a, "ip link set eth0 up")?;
    pair.wait_until_up()?;
    ping(&pair.a, B, 1)?;
    ensure(live.next_frame(SOON)?.is_some(), || "no frame".into())?;
    drain(&mut live, Duration::from_millis(50))?;
    ping(&pair.a, B, 1)?;
    sh(&pair.a, "ip link set eth0 down")?;
    // What passed before comes first.
    ensure(live.next_frame(SOON)?.is_some(), || "frame lost".into())?;
    ensure(live.next_frame(SOON)?.is_some(), || "frame lost".into())?;
    let error = live.next_frame(SOON).err().ok_or("no error")?;
    same(
        &error.to_string().as_str(),
        &"interface eth0 went down",
        "message",
    )?;
    ensure(live.next_frame(NOW)?.is_none(), || "told twice".into())?;
    sh(&pair.a, "ip link set eth0 up")?;
    pair.wait_until_up()?;
    ping(&pair.a, B, 1)?;
    ensure(live.next_frame(SOON)?.is_some(), || "no frame".into())?;
    drain(&mut live, Duration::from_millis(50))?;
    sh(&pair.a, "ip link del eth0")?;
    for _ in 0..2 {
        match live.next_frame(SOON) {
            Err(CaptureError::Gone { .. }) => {}
            other => return fail(format!("not gone: {other:?}")),
        }
    }
    Ok(())
}

fn drops_are_counted() -> Outcome {
    let pair = Pair::new()?;
    let mut live = Live::open(&pair.a, &name("lo"))?;
    pair.a.enter(|| -> Outcome {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        // Nobody reads this one either; 40,000 datagrams do not fit the buffer.
        let to = UdpSocket::bind("127.0.0.1:0")?;
        for _ in 0..40_000 {
            socket.send_to(&[0; 1400], to.local_addr()?)?;
        }
        Ok(())
    })??;
    let counts = live.counts()?;
    ensure(counts.dropped > 0, || format!("{counts:?}"))?;
    // Sent and received: loopback shows both.
    same(&counts.seen, &80_000, "frames seen")?;
    let read = u64::try_from(drain(&mut live, NOW)?.len())?;
    same(
        &(read + live.counts()?.dropped),
        &counts.seen,
        "frames read and dropped",
    )
}

fn faults_name_their_object() -> Outcome {
    let netns = Netns::create_unnamed()?;
    let error = Live::open(&netns, &name("eth7")).err().ok_or("opened")?;
    let expected = format!("no interface eth7 in network namespace {netns}");
    same(&error.to_string(), &expected, "missing interface")?;
    same(&error.errno(), &Some(libc::ENODEV), "errno")?;
    // A TUN device can be given any hardware type; 512 is PPP.
    sh(&netns, "ip tuntap add dev ppp0 mode tun")?;
    sh(
        &netns,
        "python3 -c 'import fcntl, struct
f = open(\"/dev/net/tun\", \"r+b\", buffering=0)
fcntl.ioctl(f, 0x400454ca, struct.pack(\"16sH22x\", b\"ppp0\", 0x1001))
fcntl.ioctl(f, 0x400454cd, 512)'",
    )?;
    let error = Live::open(&netns, &name("ppp0")).err().ok_or("opened")?;
    let expected = "interface ppp0 has hardware type 512, this library reads Ethernet (1, 772) and raw IP (768, 65534)";
    same(&error.to_string().as_str(), &expected, "hardware type")
}

/// Tells this program to be the child of `missing_privilege_is_named`.
const CHILD: &str = "IPIP_TEST_WITHOUT_CAP_NET_RAW";

fn missing_privilege_is_named() -> Outcome {
    let output = Command::new("setpriv")
        .args(["--bounding-set=-net_raw", "--inh-caps=-net_raw"])
        .arg(std::env::current_exe()?)
        .env(CHILD, "1")
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure(
        text.starts_with("capturing on interface lo needs CAP_NET_RAW in the user namespace"),
        || text.to_string(),
    )?;
    ensure(text.trim_end().ends_with("Some(1)"), || text.to_string())
}

fn unprivileged_child() -> ExitCode {
    let opened = Netns::current().map(|netns| Live::open(&netns, &name("lo")));
    match opened {
        Ok(Err(error)) => println!("{error} {:?}", error.errno()),
        other => println!("{other:?}"),
    }
    ExitCode::SUCCESS
}

/// A frame of `vectors/capture/frames.txt`.
struct Vector {
    name: String,
    frame: Frame,
    tcpdump: String,
}

fn vectors() -> Result<Vec<Vector>, libtest_mimic::Failed> {
    let mut vectors = Vec::new();
    let text = include_str!("vectors/capture/frames.txt");
    for entry in text.split("\n\n").skip(1) {
        let mut lines = entry.lines();
        let mut field = |key: &str| {
            let line = lines.next().and_then(|line| line.strip_prefix(key));
            line.ok_or_else(|| format!("no {key} in {entry}"))
        };
        let (name, link, tcpdump) = (field("name: ")?, field("link: ")?, field("tcpdump: ")?);
        let octets: Result<Vec<u8>, _> = lines
            .flat_map(str::split_whitespace)
            .map(|octet| u8::from_str_radix(octet, 16))
            .collect();
        let octets = octets?;
        vectors.push(Vector {
            name: name.to_owned(),
            frame: Frame {
                link_type: if link == "1" {
                    LinkType::Ethernet
                } else {
                    LinkType::RawIp
                },
                // 12:34:56.789012, with nanoseconds that the line cuts off.
                time: SystemTime::UNIX_EPOCH + Duration::new(45_296, 789_012_999),
                direction: Direction::Incoming,
                original_len: octets.len(),
                checksum_pending: false,
                octets,
            },
            tcpdump: tcpdump.to_owned(),
        });
    }
    ensure(vectors.len() > 30, || format!("{} vectors", vectors.len()))?;
    Ok(vectors)
}

fn lines_are_tcpdumps() -> Outcome {
    for vector in vectors()? {
        let expected = format!("12:34:56.789012 {}", vector.tcpdump);
        same(&describe::line(&vector.frame), &expected, &vector.name)?;
    }
    Ok(())
}

/// Writes the frames of one link type to a file and gives it to `tool`, which prints a line a frame.
fn read_by(
    tool: &str,
    args: &[&str],
    link_type: LinkType,
) -> Result<Option<Vec<String>>, libtest_mimic::Failed> {
    let scratch = Scratch::new()?;
    let file = scratch.file("ours.pcap");
    let mut writer = PcapWriter::create(&file, link_type)?;
    for vector in vectors()?.iter().filter(|v| v.frame.link_type == link_type) {
        writer.write(&vector.frame)?;
    }
    writer.finish()?;
    let output = Command::new(tool)
        .args(args)
        .arg("-r")
        .arg(&file)
        .env("TZ", "UTC")
        .output();
    let output = match output {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: {tool} is not installed");
            return Ok(None);
        }
        other => other?,
    };
    ensure(output.status.success(), || {
        String::from_utf8_lossy(&output.stderr).into_owned()
    })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(Some(text.lines().map(str::to_owned).collect()))
}

fn tcpdump_reads_our_files() -> Outcome {
    for (link_type, args) in [
        (LinkType::Ethernet, &["-n", "-S", "-e"][..]),
        (LinkType::RawIp, &["-n", "-S"]),
    ] {
        let ours: Vec<_> = vectors()?
            .iter()
            .filter(|vector| vector.frame.link_type == link_type)
            .map(|vector| describe::line(&vector.frame))
            .collect();
        if let Some(lines) = read_by("tcpdump", args, link_type)? {
            same(&ours, &lines, "lines")?;
        }
    }
    // The nanoseconds arrive too.
    let args = ["-n", "--time-stamp-precision=nano"];
    if let Some(lines) = read_by("tcpdump", &args, LinkType::RawIp)? {
        let exact = lines
            .iter()
            .all(|line| line.starts_with("12:34:56.789012999 "));
        ensure(exact, || lines.join("\n"))?;
    }
    Ok(())
}

fn trees_are_tsharks() -> Outcome {
    const FIELDS: [&str; 9] = [
        "ip.src",
        "ip.dst",
        "ip.ttl",
        "ip.proto",
        "ip.checksum",
        "ip.checksum.status",
        "icmp.checksum",
        "icmp.ident",
        "icmp.seq",
    ];
    let mut args = vec![
        "-o",
        "ip.check_checksum:TRUE",
        "-n",
        "-T",
        "fields",
        "-E",
        "separator=|",
    ];
    for field in FIELDS {
        args.extend(["-e", field]);
    }
    let Some(lines) = read_by("tshark", &args, LinkType::Ethernet)? else {
        return Ok(());
    };
    let first = lines.first().ok_or("no line")?;
    // The first vector is the encapsulated echo request; the outer value comes first.
    let tree = describe::tree(&vectors()?[0].frame);
    let summaries: Vec<_> = tree.branches.iter().map(|b| b.summary.as_str()).collect();
    let expected = [
        "Frame: 118 octets on the wire, 118 octets captured",
        "Ethernet II, Src: ee:ee:ee:ee:ee:ee, Dst: 0a:00:00:00:00:01",
        "Internet Protocol Version 4, Src: 172.18.0.3, Dst: 172.18.0.2",
        "Internet Protocol Version 4, Src: 10.244.79.20, Dst: 10.244.244.73",
        "Internet Control Message Protocol",
    ];
    same(&&summaries[..], &&expected[..], "branches")?;
    let value = |branch: usize, key: &str| {
        let fields = tree.branches.get(branch).map(|branch| &branch.fields);
        let field = fields.and_then(|f| f.iter().find_map(|f| f.strip_prefix(key)));
        field.unwrap_or("missing").to_owned()
    };
    // "64", "IPIP (4)", "0x1234 [correct]" to what tshark prints of each.
    let number = |text: String| match text.split_once('(') {
        Some((_, number)) => number.trim_end_matches(')').to_owned(),
        None => text.split(' ').next().unwrap_or_default().to_owned(),
    };
    let both = |key: &str| format!("{},{}", number(value(2, key)), number(value(3, key)));
    let ours = [
        both("Source Address: "),
        both("Destination Address: "),
        both("Time to Live: "),
        both("Protocol: "),
        both("Header Checksum: "),
        "1,1".to_owned(), // tshark's word for correct
        number(value(4, "Checksum: ")),
        number(value(4, "Identifier: ")),
        number(value(4, "Sequence Number: ")),
    ];
    same(&&ours.join("|"), &first, "fields")
}
