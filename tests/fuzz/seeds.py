"""Makes corpus/ anew: one small file a kind of input, for each function of targets/.

Packets are those of ../vectors, which scapy built, and some more of scapy's; capture files come from scapy, tcpdump and
editcap. What a fuzzer found stands in corpus/ under a name that begins with "found_" and is kept.

Run it anywhere with scapy 2.8.0, tcpdump and editcap installed.
"""

import pathlib
import struct
import subprocess
import tempfile

from scapy.all import *  # noqa: F403

HERE = pathlib.Path(__file__).parent
VECTORS = HERE.parent / "vectors"
BLOCKS = HERE.parent.parent / "ipip-core/src/resource/block/vectors"

REPAIR_ALL = 0x0F
A, B = bytes([172, 18, 0, 3]), bytes([172, 18, 0, 2])


def outer(policies=0, ttl=0, dscp=0, identification=0x1234):
    return bytes([policies, ttl, dscp]) + A + B + struct.pack(">H", identification)


def octets(lines):
    return bytes.fromhex("".join(line for line in lines if line and ":" not in line and line[0] != "#"))


def vectors():
    """Name, call and octets of each packet vector."""
    for path in sorted(VECTORS.glob("*.txt")):
        lines = path.read_text().splitlines()
        call = next(line.split(": ")[1] for line in lines if line.startswith("# call: "))
        yield path.stem, call, octets(lines)


def frames():
    """Name, link type and octets of each frame vector."""
    for entry in (VECTORS / "capture/frames.txt").read_text().split("\n\n")[1:]:
        lines = entry.splitlines()
        field = dict(line.split(": ", 1) for line in lines if ": " in line)
        name = "".join(c if c.isalnum() else "_" for c in field["name"])
        yield name, int(field["link"]), octets(lines)


def write(target, name, data):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def packets():
    for name, call, data in vectors():
        match call:
            case "parse" | "decapsulate":
                write("ipip", name, b"\0" + data)
                if len(data) > 20:
                    inner = data[(data[0] & 15) * 4 :]
                    write("ipv4", name, b"\0" + inner)
            case "echo":
                write("icmp", name, b"\0" + data)
            case "finish_partial_checksum":
                write("partial_checksum", name, b"\0" + data)
    inner = bytes(IP(src="10.244.79.20", dst="10.244.244.73", id=7) / UDP(sport=4000, dport=5000) / b"hello")
    tcp = bytes(IP(src="10.244.79.20", dst="10.244.244.73", flags="DF", tos=3) / TCP(dport=80, options=[("MSS", 1460)]))
    nested = bytes(IP(src="10.0.0.1", dst="10.0.0.2") / IP(src="10.0.0.3", dst="10.0.0.4") / IP(inner))
    for at, data in enumerate([inner, tcp, nested]):
        name = ["udp", "tcp", "nested"][at]
        write("ipip", f"ecn_{name}", bytes([REPAIR_ALL]) + bytes(IP(src="172.18.0.3", dst="172.18.0.2", tos=at + 1) / IP(data)))
        write("encapsulate", f"tunl0_{name}", bytes([0, 20, 15, 4]) + outer(8) + data)
        write("encapsulate", f"fixed_{name}", bytes([3, 40, 0, 0]) + outer(0x13, 9, 46) + data)
        write("encapsulate", f"compatible_{name}", bytes([3, 20, 7, 1]) + outer(6, 0, 255) + data)
        write("partial_checksum", f"unfinished_{name}", bytes([0x13]) + data)
        spans = struct.pack(">6H", 20, len(data), 40 + len(data), len(data), 0xFFFF, 7)
        write("batch", f"two_{name}", bytes([3, 3]) + outer(8) + spans + 2 * (bytes(20) + data))
        whole = bytes(IP(src="172.18.0.3", dst="172.18.0.2") / IP(data))
        spans = struct.pack(">4H", 0, len(whole), len(whole), len(whole))
        write("batch", f"ipip_{name}", bytes([2, 15]) + outer() + spans + whole + whole)
    write("partial_checksum", "finished_zero", bytes([0x13]) + bytes(IP(src="10.0.0.1", dst="10.0.0.2") / finished_zero()))
    write("encapsulate", "no_headroom", bytes([0, 19, 0, 0]) + outer() + inner)
    write("encapsulate", "one_node", bytes([0, 20, 15, 4]) + bytes(3) + A + A + bytes(2) + inner)


def finished_zero():
    """A datagram from 10.0.0.1 to 10.0.0.2 whose checksum comes out as 0, which is written as ones."""
    pseudo = 0x0A00 + 1 + 0x0A00 + 2 + 17 + 10
    words = [4000, 5000, 10, pseudo]
    return UDP(sport=4000, dport=5000) / struct.pack(">H", 0xFFFF - sum(words) % 0xFFFF)


def checksums():
    for name, data in {
        "empty": b"",
        "odd": b"\x12",
        "rfc1071": bytes([0, 1, 0xF2, 3, 0xF4, 0xF5, 0xF6, 0xF7]),
        "ones": b"\xff" * 300,
        "page": bytes(range(256)) * 4,
        "page_odd": bytes(range(255, 0, -1)) * 2 + b"\x80",
    }.items():
        write("checksum", name, struct.pack(">HHB", 4, 0xBEEF, len(name)) + data)


def fragments():
    options = [IPOption_RR(), IPOption_Router_Alert(), IPOption_NOP()]
    long = IP(src="10.244.79.20", dst="10.244.244.73", id=9, options=options) / UDP() / bytes(range(200))
    part = IP(src="10.244.79.20", dst="10.244.244.73", id=9, flags="MF", frag=3, proto=17) / bytes(range(160))
    last = IP(src="10.244.79.20", dst="10.244.244.73", id=9, frag=8180, proto=17) / bytes(160)
    whole = IP(src="10.244.79.20", dst="10.244.244.73", flags="DF") / bytes(100)
    broken = bytearray(bytes(long))
    broken[21] = 99
    for name, data in [("options", long), ("part", part), ("beyond", last), ("whole", whole), ("bad_option", broken)]:
        for mtu in (0, 60):
            write("fragment", f"{name}_{68 + mtu}", struct.pack(">HB", mtu, 3) + bytes(data))


def icmp():
    inner = IP(src="10.244.79.20", dst="10.244.244.73", flags="DF") / UDP(sport=4000, dport=5000) / bytes(100)
    quoted = bytes(IP(src="172.18.0.3", dst="172.18.0.2", flags="DF", len=1500, proto=4) / inner)
    for name, message in {
        "net_unreachable": ICMP(type=3, code=0),
        "port_unreachable": ICMP(type=3, code=3),
        "too_big": ICMP(type=3, code=4, nexthopmtu=1400),
        "too_big_old": ICMP(type=3, code=4),
        "time_exceeded": ICMP(type=11),
        "redirect": ICMP(type=5, code=1, gw="172.18.0.1"),
        "source_quench": ICMP(type=4),
        "parameter_problem": ICMP(type=12, ptr=8),
        "parameter_inside": ICMP(type=12, ptr=28),
    }.items():
        for cut, size in ("", 128), ("_short", 28), ("_shorter", 19):
            data = bytes(message / quoted[:size])
            write("relay", name + cut, bytes([3]) + struct.pack(">H", 1480) + outer() + data)
        write("icmp", name, b"\1" + data + bytes(inner)[:40])
    extended = bytes(ICMP(type=11, length=32) / quoted[:128] / bytes.fromhex("2000 0000 0008 0101 00010140"))
    write("icmp", "extended", b"\1" + extended)
    write("relay", "extended", bytes([3]) + struct.pack(">H", 1480) + outer() + extended)


def captures():
    places = {1: 0, 101: 1, 113: 2, 276: 3}
    by_link = {}
    for name, link, data in frames():
        write("describe", name, bytes([places.get(link, 4), 0]) + struct.pack(">HH", 0, 1480) + data)
        by_link.setdefault(link, []).append(data)
    one = by_link[101][:3]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for link, frames_of_it in by_link.items():
            raw = folder / f"{link}.pcap"
            with RawPcapWriter(str(raw), linktype=link, nano=link == 101, endianness=">" if link == 113 else "<") as file:
                file.write_header(None)
                for frame in frames_of_it[:4]:
                    file.write_packet(frame, sec=1_700_000_000, usec=5)
            write("read_capture", f"scapy_{link}.pcap", raw.read_bytes())
            write("journeys", f"scapy_{link}.pcap", raw.read_bytes())
            run = lambda *command: subprocess.run(command, check=True, capture_output=True)
            run("tcpdump", "-r", raw, "-w", folder / "t.pcap", "-s", "60")
            write("read_capture", f"tcpdump_{link}.pcap", (folder / "t.pcap").read_bytes())
            for form in "pcapng", "nsecpcap", "modpcap":
                try:
                    run("editcap", "-F", form, raw, folder / form)
                except subprocess.CalledProcessError:
                    continue  # a form without that link type
                write("read_capture", f"editcap_{link}.{form}", (folder / form).read_bytes())
                if form == "pcapng":
                    write("journeys", f"editcap_{link}.{form}", (folder / form).read_bytes())
    write("read_capture", "sections.pcapng", pcapng("<", one) + pcapng(">", one))
    write("journeys", "sections.pcapng", pcapng("<", one) + pcapng(">", one))


def pcapng(order, packets):
    """A section with names, resolutions, flags, a simple packet and a block nobody knows."""

    def block(kind, inside):
        inside += bytes(-len(inside) % 4)
        size = len(inside) + 12
        return struct.pack(order + "II", kind, size) + inside + struct.pack(order + "I", size)

    def option(code, value):
        return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)

    section = block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    name = option(2, b"tunl0") + option(9, b"\x09") + option(14, struct.pack(order + "q", -2)) + option(0, b"")
    first = block(1, struct.pack(order + "HHI", 101, 0, 0) + name)
    second = block(1, struct.pack(order + "HHI", 101, 0, 40) + option(9, b"\x8a"))
    out = section + first + second + block(0xBAD, b"what")
    for at, packet in enumerate(packets):
        head = struct.pack(order + "IIIII", at % 2, 1, 5, len(packet), len(packet) + 1)
        flags = option(2, struct.pack(order + "I", at))
        out += block(6, head + packet + bytes(-len(packet) % 4) + flags)
    return out + block(3, struct.pack(order + "I", 40) + packets[0][:40])


def resources():
    for path in sorted(BLOCKS.glob("*.json")):
        write("resource", f"block_{path.stem}", b"\0" + path.read_bytes())
    small = '{"CIDR":"10.0.0.0/30","hostAffinity":"a","allocations":[0,null,1,null],"unallocated":[3,1],"attributes":[{"handle_id":"h\\r\\n","secondary":{"pod":"<p>"},"x":1e999},{"releasedAt":"2026-08-22T13:40:00Z"},{}],"sequenceNumber":18446744073709551615,"sequenceNumberForAllocation":{"0":7},"x":{"y":[1,2.50]}}'
    pool = '{"kind":"IPPool","apiVersion":"projectcalico.org/v3","metadata":{"name":"p","uid":"7c7f","creationTimestamp":null},"spec":{"cidr":"192.168.0.0/16","vxlanMode":"Never","ipipMode":"CrossSubnet","natOutgoing":true,"disabled":true,"blockSize":26,"nodeSelector":"all()","allowedUses":["Workload","Tunnel"],"assignmentMode":"Automatic","x":"\\u2028"},"status":{}}'
    for name, kind, text in [
        ("block_small", 0, small),
        ("block_one", 0, '{"cidr":"10.0.0.7/32","affinity":"virtual:lb","allocations":[null],"unallocated":[0]}'),
        ("affinity", 1, '{"state":"pendingDeletion","deleted":true,"xnew":[1, 2]}'),
        ("affinity_empty", 1, ""),
        ("handle", 2, '{"block":{"10.0.0.0/26":2,"fd80::/122":-1},"deleted":false,"x":"<&>"}'),
        ("pool", 3, pool),
        ("pool_v6", 3, '{"metadata":{"name":"p"},"spec":{"cidr":"fd80::/120","blockSize":122}}'),
    ]:
        write("resource", name, bytes([kind]) + text.encode())


def texts():
    for name, text in {
        "prefix": "10.244.79.0/26",
        "prefix_all": "0.0.0.0/0",
        "prefix_host": "255.255.255.255/32",
        "prefix_host_bits": "10.244.79.1/26",
        "prefix_zeros": "10.0.0.0/08",
        "prefix_plus": "10.0.0.0/+8",
        "block_key": "/calico/ipam/v2/assignment/ipv4/block/10.244.79.0-26",
        "affinity_key": "/calico/ipam/v2/host/node-a.example/ipv4/block/10.244.79.0-26",
        "affinity": "host:node-a",
        "affinity_virtual": "virtual:load-balancer",
        "interface": "cali7f94ce7c295",
        "dots": "..",
        "mode": "CrossSubnet",
        "white_space": "a\u2003b\u0085",
        "longest": "n" * 253,
    }.items():
        write("text", name, text.encode())


for path in (HERE / "corpus").glob("*/*"):
    if not path.name.startswith("found_"):
        path.unlink()
for make in packets, checksums, fragments, icmp, captures, resources, texts:
    make()
