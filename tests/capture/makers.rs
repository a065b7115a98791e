//! Captures of ten thousand packets by those that make them: the kernel's driver and the user-space data
//! path, each written by tcpdump twice, whole and cut.

use ipip_core::addr::NodeAddr;
use ipip_core::capture::Reader;
use ipip_core::datapath::Userspace;
use ipip_core::peers::Peers;
use ipip_core::sys::netns::Netns;

use crate::agree::agrees;
use crate::support::{A, B, Pair, Tcpdump, name, sh};
use crate::traffic::{DontFragment, IN_A, IN_B, Random, converse, send};

/// Addresses and routes of both ends, on a `tunl0` that is there.
fn configure(pair: &Pair) {
    for (netns, addr, block, node) in [
        (&pair.a, IN_A, "10.244.244.64/26", B),
        (&pair.b, IN_B, "10.244.79.0/26", A),
    ] {
        let lines = format!(
            "sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0
             ip addr add {addr}/32 dev tunl0 && ip link set tunl0 mtu 1480 up &&
             ip route add {block} via {node} dev tunl0 onlink src {addr}"
        );
        sh(netns, &lines);
    }
}

/// Moves the underlay to a VLAN of priority 5, through which less fits than the tunnel thinks.
fn move_to_vlan(pair: &Pair) {
    for (netns, own, other) in [(&pair.a, A, B), (&pair.b, B, A)] {
        let lines = format!(
            "ip link add link eth0 name eth0.5 type vlan id 5 egress-qos-map 0:5 &&
             ip link set eth0.5 mtu 1000 up && ip route add {other}/32 dev eth0.5 src {own}"
        );
        sh(netns, &lines);
    }
}

/// How many packets there have to be.
const MANY: usize = 10_000;

/// Sends through the tunnel and compares what tcpdump wrote of it. After the half comes `between`; one frame
/// in a hundred has to be `special`, lest the test forget what it is about.
fn capture(pair: &Pair, between: impl FnOnce(&Pair), special: impl Fn(&[u8]) -> bool) {
    let mut whole = Tcpdump::in_bulk(&pair.a, "eth0", 262_144);
    let mut cut = Tcpdump::in_bulk(&pair.a, "eth0", 90);
    let mut random = Random(1);
    send(&pair.a, &mut random, DontFragment::Sometimes, MANY / 2);
    converse(&pair.a, &pair.b);
    between(pair);
    // Outer packets are cut until the first DF makes the tunnel find out the MTU of the way.
    send(&pair.a, &mut random, DontFragment::Never, MANY / 4);
    send(&pair.a, &mut random, DontFragment::Sometimes, MANY / 4);
    for (what, tcpdump) in [("whole", &mut whole), ("cut", &mut cut)] {
        let file = tcpdump.settle();
        let Some((frames, values)) = agrees(file) else {
            return;
        };
        let reader = Reader::open(file).unwrap();
        let special = reader.filter(|frame| special(&frame.as_ref().unwrap().octets));
        let special = special.count();
        println!("{what}: {frames} frames, {special} of them special, {values} values");
        let enough = frames > MANY && special > frames / 100 && values > frames * 20;
        assert!(
            enough,
            "{frames} frames, {special} special, {values} values"
        );
    }
}

pub(crate) fn every_field_of_the_drivers_capture_is_tsharks() {
    let pair = Pair::new();
    for netns in [&pair.a, &pair.b] {
        sh(netns, "ip link show tunl0 || ip link add tunl0 type ipip");
    }
    configure(&pair);
    // Tag, and an outer packet in pieces: MF or an offset.
    let special = |frame: &[u8]| {
        frame[12..16] == [0x81, 0, 0xa0, 5]
            && frame[27] == 4
            && frame[24..26] != [0, 0]
            && frame[24] & 0x40 == 0
    };
    capture(&pair, move_to_vlan, special);
}

pub(crate) fn every_field_of_a_user_space_capture_is_tsharks() {
    let pair = Pair::new();
    let peers = Peers::from_iter([
        ("10.244.79.0/26".parse().unwrap(), NodeAddr(A)),
        ("10.244.244.64/26".parse().unwrap(), NodeAddr(B)),
    ]);
    let start = |netns: &Netns, local| {
        Userspace::start(netns, &name("tunl0"), NodeAddr(local), peers.clone()).unwrap()
    };
    let _paths = [start(&pair.a, A), start(&pair.b, B)];
    configure(&pair);
    let carried = |frame: &[u8]| frame[12..14] == [8, 0] && frame[23] == 4;
    capture(&pair, |_| (), carried);
}
