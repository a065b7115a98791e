"""The capture files of each place, read by tshark, scapy and tcpdump; these run on the host, whoever wrote the files."""

import os
import re

import job
import packets
from suite import Skip, case, expect, expect_true

CHECKSUM_GOOD = "1"


def plain_output():
    """What the plain run of this place printed."""
    with open(f"{job.WORK}/out", encoding="utf-8") as file:
        return file.read()


def path(name):
    """One file of the plain run of this place."""
    found = f"{job.WORK}/pcap/{name}.pcap"
    expect_true(os.path.exists(found), f"{found} was not written")
    return found


@case("tshark: two IP layers on the node's eth0, one elsewhere, all checksums right", "files")
def tshark_layers():
    outer = ["172.18.0.3", "172.18.0.2"]
    inner = ["10.244.79.20", "10.244.244.73"]
    out = plain_output()
    for name, _, _ in job.POINTS:
        fields = ["ip.proto", "ip.src", "ip.dst", "ip.checksum.status", "icmp.checksum.status"]
        frames = packets.tshark(path(name), fields)
        one_way = job.one_way(out, name)
        expect(len(frames), 3 if one_way else 6, f"ICMP frames in {name}")
        for number, frame in enumerate(frames):
            here, there = (0, 1) if one_way or number % 2 == 0 else (1, 0)
            layers = [outer, inner] if name == "4-node-eth0" else [inner]
            wanted = {
                "ip.proto": ["4", "1"][-len(layers) :],
                "ip.src": [layer[here] for layer in layers],
                "ip.dst": [layer[there] for layer in layers],
                "ip.checksum.status": [CHECKSUM_GOOD] * len(layers),
                "icmp.checksum.status": [CHECKSUM_GOOD],
            }
            expect(frame, wanted, f"frame {number + 1} of {name}")
        wrong = packets.tshark(path(name), ["frame.number"], "_ws.malformed or _ws.expert.severity == error")
        expect(wrong, [], f"frames of {name} that tshark finds fault with")


@case("scapy and tshark agree field by field", "files")
def scapy_agrees():
    try:
        import scapy  # noqa: F401
    except ImportError:
        raise Skip("scapy is not installed: pip install scapy") from None
    fields = [*packets.IP_FIELDS, *packets.ICMP_FIELDS]
    for name, _, _ in job.POINTS:
        found, wanted = packets.scapy(path(name)), packets.tshark(path(name), fields)
        expect(len(found), len(wanted), f"frames of {name}")
        for number, (ours, theirs) in enumerate(zip(found, wanted), start=1):
            expect(ours, theirs, f"frame {number} of {name}, scapy against tshark")


@case("time stamps have nanoseconds, and are in order along the way", "files")
def stamps():
    along, last = [], []
    out = plain_output()
    for name, _, _ in job.POINTS:
        magic, frames = packets.read(path(name))
        expect(magic, packets.MAGIC_NANO, f"magic number of {name}")
        stamps = [frame.nanoseconds for frame in frames if packets.echo(frame)]
        expect_true(any(stamp % 1000 for stamp in stamps), f"{name} has whole microseconds only")
        epochs = [row["frame.time_epoch"] for row in packets.tshark(path(name), ["frame.time_epoch"])]
        expect(epochs, [[f"{stamp // 10**9}.{stamp % 10**9:09}"] for stamp in stamps], f"tshark's stamps of {name}")
        if job.one_way(out, name):
            # The receiver's, so behind the wire; nothing stands for the replies, which pass it by.
            last = [each for stamp in stamps for each in (stamp, None)]
        else:
            along.append(stamps)
    along += [last] if last else []
    for number, way in enumerate(zip(*along)):
        way = tuple(stamp for stamp in (way if number % 2 == 0 else way[::-1]) if stamp)
        expect(way, tuple(sorted(way)), f"stamps of message {number + 1}, in the order of its way")


@case("the printed lines are tcpdump's, word for word", "files")
def printed_lines():
    out = plain_output()
    for name, _, interface in job.POINTS:
        title = name[2:].replace("-", " ")
        heading = "(: 3 of 3 echoes seen both ways| of node-b: 3 of 3 echoes seen arriving; eBPF sends past it)"
        section = re.search(rf"^{title}{heading}\n  .*\n((?:  .*\n)*)", out, re.M)
        expect_true(section, f"no lines are printed for {title}")
        printed = [line.strip() for line in section[2].splitlines()]
        options = [] if interface == "tunl0" else ["-e"]
        lines = packets.tcpdump(path(name), *options, "arp or ip")
        expect(printed, lines[:8], f"lines of {title}, ours against tcpdump's")
