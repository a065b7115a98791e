#!/usr/bin/env python3
"""Writes the packet vectors of this directory: `pip install scapy==2.8.0 && python3 tests/vectors/generate.py`.

scapy builds the octets and scapy reads the fields back, so that nothing here shares code with ipip.
The messages of the bad ones are written by hand.
"""

import pathlib
import sys

import scapy
from scapy.all import ICMP, IP, TCP, UDP, IPOption_NOP, IPOption_RR, IPOption_Timestamp, Padding, Raw, raw  # noqa: F401
from scapy.utils import checksum  # noqa: F401  (the commands below use it)
from tunnel import vectors as tunnel_vectors

HERE = pathlib.Path(__file__).parent
BARE = 'IP(src="172.18.0.3", dst="172.18.0.2", id=0x1234, ttl=63)'
# An inner DF makes an outer one (RFC 2003 section 3.1), which scapy does not do by itself.
OUTER = f'{BARE[:-1]}, flags="DF")'
INNER = 'IP(src="10.244.79.20", dst="10.244.244.73", id=0xbeef, flags="DF", ttl=63)'
ECHO = "ICMP(id=7, seq=1)/Raw(bytes(range(56)))"
PLAIN = f"{OUTER}/{INNER}/{ECHO}"

# name: scapy expression whose octets ipip must parse.
GOOD = {
    "icmp": PLAIN,
    "tcp": f'{OUTER}/{INNER}/TCP(sport=40000, dport=80, flags="S", seq=0x01020304, options=[("MSS", 1440)])',
    "udp": f"{OUTER}/{INNER}/UDP(sport=5353, dport=53)/Raw(b'odd')",
    "outer_options": f'{OUTER[:-1]}, options=[IPOption_RR(routers=["192.0.2.1", "192.0.2.2"])])/{INNER}/{ECHO}',
    "inner_options": f"{OUTER}/{INNER[:-1]}, options=[IPOption_Timestamp()])/{ECHO}",
    "both_options": f"{OUTER[:-1]}, options=[IPOption_NOP()] * 40)/{INNER[:-1]}, options=[IPOption_NOP()])/{ECHO}",
    "inner_first_fragment": f'{BARE}/IP(src="10.244.79.20", dst="10.244.244.73", id=9, flags="MF", proto=17)/Raw(b"a" * 24)',
    "inner_last_fragment": f'{BARE}/IP(src="10.244.79.20", dst="10.244.244.73", id=9, frag=8189, proto=17)/Raw(b"z" * 3)',
    "padded_after_outer": f'{OUTER}/{INNER}/UDP(sport=1, dport=2)/Padding(b"\\xaa" * 6)',
    "padded_within_outer": f'raw({OUTER[:-1]}, proto=4, len=20 + 28 + 6)/Raw(raw({INNER}/UDP(sport=1, dport=2)) + b"\\xaa" * 6))',
    "tos": f'{OUTER[:-1]}, tos=0xb9)/{INNER[:-1]}, tos=0x29)/{ECHO}',
    "reserved_flag": f'{BARE[:-1]}, flags="evil")/{INNER[:-1]})/{ECHO}',
    "header_only": f'{BARE}/IP(src="0.0.0.0", dst="255.255.255.255", id=0xffff, ttl=255, proto=255, tos=255)',
    "nested_twice": f'{BARE}/IP(src="10.244.79.0", dst="10.244.244.64", ttl=1)/{INNER}/{ECHO}',
}

# name: (call, scapy expression, expected error, its message).
BAD = {
    "empty": ("parse", "b''", "Truncated",
              "outer IPv4 packet is truncated: found 0 octets, needs 20"),
    "outer_header_cut": ("parse", f"raw({PLAIN})[:19]", "Truncated",
                         "outer IPv4 packet is truncated: found 19 octets, needs 20"),
    "outer_cut": ("parse", f"raw({PLAIN})[:-1]", "Truncated",
                  "outer IPv4 packet is truncated: found 103 octets, needs 104"),
    "inner_cut": ("parse", f"{OUTER[:-1]}, proto=4)/Raw(raw({INNER}/{ECHO})[:-1])", "Truncated",
                  "inner IPv4 packet is truncated: found 83 octets, needs 84"),
    "inner_header_cut": ("parse", f"{OUTER[:-1]}, proto=4)/Raw(raw({INNER})[:12])", "Truncated",
                         "inner IPv4 packet is truncated: found 12 octets, needs 20"),
    "outer_version": ("parse", f"{OUTER[:-1]}, version=6)/{INNER}/{ECHO}", "Version",
                      "outer IPv4 packet has version 6, allowed is 4"),
    "inner_version": ("parse", f"{OUTER[:-1]}, proto=4)/{INNER[:-1]}, version=5)/{ECHO}", "Version",
                      "inner IPv4 packet has version 5, allowed is 4"),
    "outer_header_len": ("parse", f"{OUTER[:-1]}, ihl=4)/{INNER}/{ECHO}", "HeaderLen",
                         "outer IPv4 packet has a header length of 4 words, allowed are 5 to 15"),
    "inner_header_len": ("parse", f"{OUTER}/{INNER[:-1]}, ihl=0)/{ECHO}", "HeaderLen",
                         "inner IPv4 packet has a header length of 0 words, allowed are 5 to 15"),
    "outer_total_len": ("parse", f"{OUTER[:-1]}, len=19)/{INNER}/{ECHO}", "TotalLen",
                        "outer IPv4 packet has a total length of 19 octets, allowed are 20 to 65535"),
    "inner_total_len": ("parse", f"{OUTER}/{INNER[:-1]}, ihl=15, len=59)/{ECHO}", "TotalLen",
                        "inner IPv4 packet has a total length of 59 octets, allowed are 60 to 65535"),
    "outer_checksum": ("parse", f"{OUTER[:-1]}, chksum=0xffff)/{INNER}/{ECHO}", "Checksum",
                       "outer IPv4 packet has checksum 0xffff, computed is {outer_checksum}"),
    "inner_checksum": ("parse", f"{OUTER}/{INNER[:-1]}, chksum=0x0001)/{ECHO}", "Checksum",
                       "inner IPv4 packet has checksum 0x0001, computed is {inner_checksum}"),
    "protocol": ("parse", f"{OUTER[:-1]}, proto=41)/{INNER}/{ECHO}", "Protocol",
                 "outer IPv4 packet carries protocol 41, allowed is 4 (IPv4 in IPv4)"),
    "outer_first_fragment": ("parse", f'{BARE[:-1]}, flags="MF")/{INNER}/{ECHO}', "OuterFragment",
                             "outer IPv4 packet is a fragment (offset 0 octets, more fragments: true), "
                             "allowed is a whole packet (offset 0 octets, more fragments: false)"),
    "outer_last_fragment": ("parse", f"{BARE[:-1]}, frag=185, proto=4)/Raw(b'x' * 40)", "OuterFragment",
                            "outer IPv4 packet is a fragment (offset 1480 octets, more fragments: false), "
                            "allowed is a whole packet (offset 0 octets, more fragments: false)"),
    "inner_ttl_zero": ("decapsulate", f"{OUTER}/{INNER[:-1].replace('ttl=63', 'ttl=0')})/{ECHO}", "TtlZero",
                       "inner IPv4 packet has TTL 0, allowed are 1 to 255"),
    "echo_cut": ("echo", f"raw({ECHO})[:7]", "Truncated",
                 "ICMP message is truncated: found 7 octets, needs 8"),
    "echo_type": ("echo", "ICMP(type=3, code=1)/Raw(b'x' * 28)", "IcmpType",
                  "ICMP message has type 3 code 1, allowed are type 8 or 0 with code 0"),
    "echo_checksum": ("echo", "ICMP(type=0, id=7, seq=1, chksum=0xdead)/Raw(b'odd')", "Checksum",
                      "ICMP message has checksum 0xdead, computed is {echo_checksum}"),
}

ECHOES = {
    "echo_request": ECHO,
    "echo_reply_odd": 'ICMP(type="echo-reply", id=0xffff, seq=0x8000)/Raw(b"odd")',
    "echo_no_data": "ICMP(id=1, seq=2)",
}

# The pseudo-header's sum alone in the checksum field, as Linux leaves it; see partial().
PARTIAL = {
    "partial_tcp": f'{INNER}/TCP(sport=40000, dport=80, flags="PA")/Raw(b"unfinished")',
    "partial_udp": f"{INNER}/UDP(sport=5353, dport=53)/Raw(b'odd')",
    "partial_inner_options": f"{INNER[:-1]}, options=[IPOption_NOP()] * 4)/UDP(sport=5353, dport=53)",
}


def fields(name, octets):
    """The field table of one IPv4 header, as scapy reads it."""
    ip = IP(octets)
    header_len = ip.ihl * 4
    payload = octets[header_len:ip.len]
    return {
        f"{name}.header_len": header_len,
        f"{name}.total_len": ip.len,
        f"{name}.dscp": ip.tos >> 2,
        f"{name}.ecn": ip.tos & 3,
        f"{name}.identification": f"{ip.id:#06x}",
        f"{name}.dont_fragment": str(bool(ip.flags.DF)).lower(),
        f"{name}.more_fragments": str(bool(ip.flags.MF)).lower(),
        f"{name}.fragment_offset": ip.frag,
        f"{name}.ttl": ip.ttl,
        f"{name}.protocol": ip.proto,
        f"{name}.checksum": f"{ip.chksum:#06x}",
        f"{name}.source": ip.src,
        f"{name}.destination": ip.dst,
        f"{name}.options": octets[20:header_len].hex() or "none",
    }, payload


def write(name, command, table, octets):
    """One vector file: the table as comments, then the octets, 16 to a row."""
    lines = ["# tool: scapy", f"# version: {scapy.VERSION}", f"# command: {command}"]
    lines += [f"# {key}: {value}" for key, value in table.items()]
    lines += [octets[i:i + 16].hex(" ") for i in range(0, len(octets), 16)]
    (HERE / f"{name}.txt").write_text("\n".join(lines) + "\n")


def partial(octets):
    """The packet with its checksum unfinished, and the checksum that scapy had put there."""
    ip = IP(octets)
    start, length = ip.ihl * 4, ip.len - ip.ihl * 4
    at = start + (16 if ip.proto == 6 else 6)
    pseudo = octets[12:20] + bytes([0, ip.proto]) + length.to_bytes(2, "big")
    unfinished = 0xffff ^ checksum(pseudo)
    finished = int.from_bytes(octets[at:at + 2], "big")
    return octets[:at] + unfinished.to_bytes(2, "big") + octets[at + 2:], finished


def main():
    for old in HERE.glob("*.txt"):
        old.unlink()
    for name, command in GOOD.items():
        octets = raw(eval(command))
        outer, carried = fields("outer", octets)
        inner, payload = fields("inner", carried)
        table = {"call": "parse"} | outer | inner | {"inner.payload": payload.hex() or "none"}
        write(name, command, table, octets)
    right = IP(raw(eval(PLAIN)))
    computed = {
        "outer_checksum": f"{right.chksum:#06x}",
        "inner_checksum": f"{right.payload.chksum:#06x}",
        "echo_checksum": f"{ICMP(raw(ICMP(type=0, id=7, seq=1) / Raw(b'odd'))).chksum:#06x}",
    }
    for name, (call, command, error, message) in BAD.items():
        table = {"call": call, "expect": error, "message": message.format(**computed)}
        write(f"bad_{name}", command, table, raw(eval(command)))
    for name, command in ECHOES.items():
        octets = raw(eval(command))
        icmp = ICMP(octets)
        table = {
            "call": "echo",
            "kind": {8: "request", 0: "reply"}[icmp.type],
            "identifier": f"{icmp.id:#06x}",
            "sequence": icmp.seq,
            "checksum": f"{icmp.chksum:#06x}",
            "data": octets[8:].hex() or "none",
        }
        write(name, command, table, octets)
    for name, command in PARTIAL.items():
        octets, finished = partial(raw(eval(command)))
        table = {"call": "finish_partial_checksum", "result": "finished", "checksum": f"{finished:#06x}"}
        write(name, f"partial({command})", table, octets)
    for name, command, table, octets in tunnel_vectors():
        write(name, command, table, octets)


if __name__ == "__main__":
    sys.exit(main())
