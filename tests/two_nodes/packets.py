"""Reads pcap files: a naive reader of our own for counting, and what tshark, scapy and tcpdump make of them."""

import os
import struct
import subprocess
from collections import Counter, namedtuple

from suite import Fault

Frame = namedtuple("Frame", "nanoseconds link_type octets")
Echo = namedtuple("Echo", "kind identifier sequence encapsulated")
ETHERNET, RAW = 1, 101
MAGIC_MICRO, MAGIC_NANO = 0xA1B2C3D4, 0xA1B23C4D


def read(path):
    """The magic number and the frames of a file written on this machine; the whole ones, if it is being written."""
    with open(path, "rb") as file:
        data = file.read()
    if len(data) < 24:
        return None, []
    magic, link_type = struct.unpack_from("<I16xI", data)
    unit = {MAGIC_MICRO: 1000, MAGIC_NANO: 1}[magic]
    frames, at = [], 24
    while at + 16 <= len(data):
        seconds, fraction, captured, length = struct.unpack_from("<IIII", data, at)
        if captured != length:
            raise Fault(f"{path}: {captured} of {length} octets captured")
        octets = data[at + 16 : at + 16 + captured]
        if len(octets) < captured:
            break  # its writer has not finished
        frames.append(Frame(seconds * 10**9 + fraction * unit, link_type, octets))
        at += 16 + captured
    return magic, frames


def echo(frame):
    """The echo message in a frame, or None."""
    octets = frame.octets
    if frame.link_type == ETHERNET:
        if octets[12:14] != b"\x08\x00":
            return None
        octets = octets[14:]
    encapsulated = octets[9] == 4
    if encapsulated:
        octets = octets[(octets[0] & 15) * 4 :]
    if octets[0] >> 4 != 4 or octets[9] != 1:
        return None
    kind, identifier, sequence = struct.unpack_from("!B3xHH", octets, (octets[0] & 15) * 4)
    return Echo({8: "request", 0: "reply"}[kind], identifier, sequence, encapsulated) if kind in (0, 8) else None


def echoes(path):
    """How often each echo message occurs in a file."""
    return Counter(filter(None, map(echo, read(path)[1])))


def echo_octets(path):
    """The frames with echo messages, octet for octet."""
    return [frame.octets for frame in read(path)[1] if echo(frame)]


def quiet(*command, **settings):
    """The output of a decoder."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, **settings)
    if done.returncode:
        raise Fault(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def tcpdump(path, *args):
    """tcpdump's lines for a file, in UTC."""
    return quiet("tcpdump", "-n", *args, "-r", path, env={**os.environ, "TZ": "UTC0"}).splitlines()


def tshark(path, fields, display_filter="icmp"):
    """tshark's values, one dictionary of lists a frame, with all checksums verified."""
    command = ["tshark", "-n", "-r", path, "-Y", display_filter, "-T", "fields"]
    command += ["-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=;"]
    command += ["-o", "ip.check_checksum:TRUE"]
    for field in fields:
        command += ["-e", field]
    rows = [line.split("\t") for line in quiet(*command).splitlines()]
    return [{field: value.split(";") for field, value in zip(fields, row)} for row in rows]


#: tshark's field names, and what scapy has for one IP layer, in tshark's notation.
IP_FIELDS = {
    "ip.version": lambda ip: str(ip.version),
    "ip.hdr_len": lambda ip: str(ip.ihl * 4),
    "ip.dsfield": lambda ip: f"0x{ip.tos:02x}",
    "ip.len": lambda ip: str(ip.len),
    "ip.id": lambda ip: f"0x{ip.id:04x}",
    "ip.flags.df": lambda ip: str(int(ip.flags.DF)),
    "ip.flags.mf": lambda ip: str(int(ip.flags.MF)),
    "ip.frag_offset": lambda ip: str(ip.frag),
    "ip.ttl": lambda ip: str(ip.ttl),
    "ip.proto": lambda ip: str(ip.proto),
    "ip.checksum": lambda ip: f"0x{recomputed(ip):04x}",
    "ip.src": lambda ip: ip.src,
    "ip.dst": lambda ip: ip.dst,
}
ICMP_FIELDS = {
    "icmp.type": lambda icmp: str(icmp.type),
    "icmp.code": lambda icmp: str(icmp.code),
    "icmp.checksum": lambda icmp: f"0x{recomputed(icmp):04x}",
    "icmp.ident": lambda icmp: str(icmp.id),
    "icmp.seq": lambda icmp: str(icmp.seq),
}


def recomputed(layer):
    """The checksum that scapy would write: it equals the one in the packet, or the packet is wrong."""
    twin = layer.copy()
    del twin.chksum
    return type(layer)(bytes(twin)).chksum


def scapy(path):
    """scapy's values for the frames with ICMP in them, in the shape and notation of `tshark`."""
    from scapy.layers.inet import ICMP, IP
    from scapy.utils import rdpcap

    rows = []
    for packet in rdpcap(path):
        if ICMP not in packet:
            continue
        layers = [packet.getlayer(IP, nb=1), packet.getlayer(IP, nb=2)]
        values = {field: [value(layer) for layer in layers if layer] for field, value in IP_FIELDS.items()}
        values |= {field: [value(packet[ICMP])] for field, value in ICMP_FIELDS.items()}
        rows.append(values)
    return rows
