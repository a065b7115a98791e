"""The vectors of a tunnel's ends: what leaves it, what is cut before it enters, what routers inside it report.

What is expected stands here as the RFCs have it; scapy builds the octets, cuts and reads them.
"""

from scapy.all import ICMP, IP, TCP, UDP, IPOption_Router_Alert, Raw, fragment, raw  # noqa: F401

ECN = {"not_ect": 0, "ect1": 1, "ect0": 2, "ce": 3}

# RFC 6040 section 4.2, figure 4: inner field: for each outer one what is delivered, and the mark behind it:
# "!" may be logged, "!!!" should be.
EXIT = {
    "not_ect": {"not_ect": "not_ect", "ect0": "not_ect !!!", "ect1": "not_ect !!!", "ce": "drop !!!"},
    "ect0": {"not_ect": "ect0", "ect0": "ect0", "ect1": "ect1", "ce": "ce"},
    "ect1": {"not_ect": "ect1", "ect0": "ect1 !", "ect1": "ect1", "ce": "ce"},
    "ce": {"not_ect": "ce", "ect0": "ce", "ect1": "ce !!!", "ce": "ce"},
}
URGENCY = {"": "none", "!": "may_log", "!!!": "should_log"}
ECN_DROP = "outer IPv4 packet has ECN CE, allowed around an inner packet without ECN is Not-ECT"

POD = 'src="10.244.79.20", dst="10.244.244.73"'
UNCUT = f"IP({POD}, id=0xbeef, ttl=7, proto=17"

# name: (packet, MTU in octets).
FRAGMENTS = {
    "none": (f'{UNCUT})/Raw(b"short")', 68),
    "df_short": (f'{UNCUT}, flags="DF")/Raw(bytes(48))', 68),
    "rfc791_example": (f"{UNCUT})/Raw(bytes(i % 251 for i in range(452)))", 280),
    "three": (f"{UNCUT})/Raw(bytes(i % 251 for i in range(2980)))", 1480),
    "all_full": (f"{UNCUT})/Raw(bytes(range(144)))", 68),
    "of_a_fragment": (f'{UNCUT}, flags="MF", frag=100)/Raw(bytes(range(104)))', 68),
    "of_the_last_fragment": (f"{UNCUT}, frag=8100)/Raw(bytes(range(99)))", 68),
    "copied_options": (f"{UNCUT}, options=[IPOption_Router_Alert()])/Raw(bytes(range(100)))", 72),
}

# name: (packet, MTU, error, message).
BAD_FRAGMENTS = {
    "df": (f'{UNCUT}, flags="DF")/Raw(bytes(81))', 100, "DontFragment",
           "packet is 101 octets and has DF set, allowed are at most 100"),
    "end": (f"{UNCUT}, frag=8176)/Raw(bytes(108))", 100, "FragmentEnd",
            "fragment ends at octet 65516 of its packet's payload, allowed are at most 65515"),
    "options": (f'{UNCUT}, options=[Raw(b"\\x01\\x82\\x04\\x00")])/Raw(bytes(100))', 100, "Options",
                "option at octet 21 of the header has a length outside 2 to what is left"),
}

SEGMENT = f"IP({POD}, id=7)/TCP(sport=40000, dport=80, flags=%r, options=%r)"
MSS = [("MSS", 1460)]

# name: (flags, TCP options, MTU, what the MSS becomes, None if it stays).
CLAMPED = {
    "syn": ("S", MSS, 1480, 1440),
    "syn_ack": ("SA", [("SAckOK", b""), *MSS, ("WScale", 7)], 1380, 1340),
    "at_an_odd_place": ("S", [("NOP", None), *MSS, ("NOP", None)], 1480, 1440),
    "behind_a_timestamp": ("S", [("Timestamp", (1, 2)), ("NOP", None), *MSS], 68, 28),
    "fits": ("S", [("MSS", 1440)], 1480, None),
    "no_syn": ("A", MSS, 1480, None),
    "no_mss": ("S", [("WScale", 7)], 68, None),
    "behind_the_end": ("S", [("EOL", None), ("NOP", None), ("NOP", None), ("NOP", None), *MSS], 68, None),
}

ROUTER = "172.18.0.9"
QUERY = f"raw(IP({POD}, id=7)/ICMP(id=7, seq=1)/Raw(bytes(20)))"
UDP_PACKET = f'raw(IP({POD}, id=7, flags="DF")/UDP(sport=1, dport=2)/Raw(b"odd"))'

# name: (what it says, scapy's header, the packet it is about, whether that may be answered: RFC 1812 section 4.3.2.7).
ICMP_ERRORS = {
    "net_unreachable": ("unreachable 0", "ICMP(type=3, code=0)", UDP_PACKET, True),
    "filtered": ("unreachable 13", "ICMP(type=3, code=13)", QUERY, True),
    "fragmentation_needed": ("fragmentation_needed 1480", "ICMP(type=3, code=4, nexthopmtu=1480)", UDP_PACKET, True),
    "no_mtu_told": ("fragmentation_needed 0", "ICMP(type=3, code=4)", f"{UDP_PACKET}[:28]", True),
    "source_quench": ("source_quench", "ICMP(type=4)", UDP_PACKET, True),
    "redirect": ("redirect 1 172.18.0.77", 'ICMP(type=5, code=1, gw="172.18.0.77")', f"{UDP_PACKET}[:20]", True),
    "time_exceeded": ("time_exceeded 1", "ICMP(type=11, code=1)", f'raw(IP({POD}, flags="MF")/UDP()/Raw(bytes(24)))', True),
    "parameter_problem": ("parameter_problem 0 21", "ICMP(type=12, ptr=21)",
                          f"raw(IP({POD}, options=[IPOption_Router_Alert()])/TCP())", True),
    "about_an_error": ("unreachable 1", "ICMP(type=3, code=1)", f"raw(IP({POD})/ICMP(type=11))", False),
    "about_unseen_icmp": ("unreachable 1", "ICMP(type=3, code=1)", f"raw(IP({POD})/ICMP())[:20]", False),
    "about_a_later_fragment": ("unreachable 1", "ICMP(type=3, code=1)", f"raw(IP({POD}, frag=185, proto=17)/Raw(bytes(8)))", False),
    "about_a_multicast": ("time_exceeded 0", "ICMP(type=11)", 'raw(IP(src="10.244.79.20", dst="224.0.0.5")/UDP())', False),
    "about_nobody": ("unreachable 1", "ICMP(type=3, code=1)", 'raw(IP(src="0.0.0.0", dst="10.244.244.73")/UDP())', False),
}

# name: (scapy expression, expected error, its message).
BAD_ICMP_ERRORS = {
    "cut": ("raw(ICMP(type=3))[:7]", "Truncated", "ICMP message is truncated: found 7 octets, needs 8"),
    "query": ("ICMP(type=8, id=7, seq=1)", "IcmpNotError", "ICMP message has type 8, allowed are 3, 4, 5, 11 and 12"),
    "checksum": ("ICMP(type=3, code=1, chksum=0x0001)", "Checksum",
                 "ICMP message has checksum 0x0001, computed is 0xfcfe"),
}

# The outer packet as a tunnel's entry sends it, and the same without DF inside.
SENT = ('raw(IP(src="172.18.0.3", dst="172.18.0.2", id=0, flags="DF")/IP(src="10.244.79.20", dst="10.244.244.73", id=7, '
        'flags="DF")/UDP(sport=1, dport=2)/Raw(bytes(1432)))[:548]')
NO_DF = SENT.replace('id=7, flags="DF"', "id=7")
SHORT = f"{SENT}[:28]"

# RFC 2003 section 4, row by row, for a packet that tunl0 sent, whose tunnel has an MTU of 1380:
# name: (scapy's header, what is quoted, whether the destination is on our network, action, what is told, the tunnel's
# MTU by the message).
TUNNEL_ERRORS = {
    "4_1_code_0": ("ICMP(type=3, code=0)", SENT, False, "send", "unreachable 0", "none"),
    "4_1_code_0_same_network": ("ICMP(type=3, code=0)", SENT, True, "send", "unreachable 1", "none"),
    "4_1_code_1": ("ICMP(type=3, code=1)", SENT, False, "send", "unreachable 1", "none"),
    "4_1_code_2": ("ICMP(type=3, code=2)", SENT, False, "send", "unreachable 0", "none"),
    "4_1_code_3": ("ICMP(type=3, code=3)", SENT, False, "keep", "nothing", "none"),
    "4_1_code_4": ("ICMP(type=3, code=4, nexthopmtu=1400)", SENT, False, "send", "fragmentation_needed 1380", 1380),
    # RFC 1191 section 7.1: the plateau below 1480 octets is 1006.
    "4_1_code_4_no_mtu": ("ICMP(type=3, code=4)", SENT, False, "send", "fragmentation_needed 1380", 986),
    "4_1_code_4_no_inner_df": ("ICMP(type=3, code=4, nexthopmtu=1400)", NO_DF, False, "keep", "nothing", 1380),
    "4_1_code_4_short": ("ICMP(type=3, code=4, nexthopmtu=1400)", SHORT, False, "remember", "fragmentation_needed 1380", 1380),
    "4_1_code_5": ("ICMP(type=3, code=5)", SENT, False, "keep", "nothing", "none"),
    "4_2_source_quench": ("ICMP(type=4)", SENT, False, "keep", "nothing", "none"),
    "4_3_redirect": ('ICMP(type=5, code=1, gw="172.18.0.77")', SENT, False, "keep", "nothing", "none"),
    "4_4_time_exceeded": ("ICMP(type=11, code=0)", SENT, False, "send", "unreachable 1", "none"),
    "4_4_time_exceeded_short": ("ICMP(type=11, code=0)", SHORT, False, "remember", "unreachable 1", "none"),
    "4_5_copied_field": ("ICMP(type=12, ptr=8)", SENT, False, "send", "parameter_problem 0 8", "none"),
    "4_5_own_field": ("ICMP(type=12, ptr=9)", SENT, False, "keep", "nothing", "none"),
    "4_5_inner_header": ("ICMP(type=12, ptr=21)", SENT, False, "send", "parameter_problem 0 1", "none"),
}

# name: (what is quoted, error, message).
BAD_TUNNEL_ERRORS = {
    "no_header": (f"{SENT}[:19]", "Quoted",
                  "quoted packet cannot be read: outer IPv4 packet is truncated: found 19 octets, needs 20"),
    "protocol": ('raw(IP(src="172.18.0.3", dst="172.18.0.2")/UDP())', "QuotedProtocol",
                 "quoted packet carries protocol 17, allowed is 4 (IPv4 in IPv4)"),
    "endpoints": (SENT.replace("172.18.0.2", "172.18.0.4"), "QuotedEndpoints",
                  "quoted packet is from 172.18.0.3 to 172.18.0.4, allowed are this tunnel's ends"),
    "fragment": ('raw(IP(src="172.18.0.3", dst="172.18.0.2", proto=4, frag=2)/Raw(bytes(40)))', "QuotedFragment",
                 "quoted packet is a fragment at 16 octets, allowed is 0"),
}


def leaving(inner):
    """Every field of a row of the figure."""
    for outer, entry in EXIT[inner].items():
        ends = 'IP(src="172.18.0.3", dst="172.18.0.2", id=0'
        carried = f'IP({POD}, id=7, ttl=9, tos=0xb8 | %d)/UDP(sport=1, dport=2)/Raw(b"odd")'
        command = f"{ends}, tos={ECN[outer]})/{carried % ECN[inner]}"
        delivered, _, mark = entry.partition(" ")
        table = {"call": "decapsulate_in_place", "inner": ECN[inner], "outer": ECN[outer], "alarm": URGENCY[mark]}
        if delivered == "drop":
            yield f"bad_exit_{inner}_{outer}", command, table | {"expect": "EcnDrop", "message": ECN_DROP}, raw(eval(command))
        else:
            packet = raw(eval(carried % ECN[delivered]))
            yield f"exit_{inner}_{outer}", command, table | {"packet": packet.hex()}, raw(eval(command))


def cut():
    """Packets and their fragments, cut by scapy."""
    for name, (command, mtu) in FRAGMENTS.items():
        octets = raw(eval(command))
        packet = IP(octets)
        room = (mtu - packet.ihl * 4) // 8 * 8
        pieces = [octets] if len(octets) <= mtu else [raw(piece) for piece in fragment(packet, room)]
        table = {"call": "fragments", "mtu": mtu, "count": len(pieces)}
        yield f"fragments_{name}", command, table | {f"fragment.{i}": piece.hex() for i, piece in enumerate(pieces)}, octets
    for name, (command, mtu, error, message) in BAD_FRAGMENTS.items():
        table = {"call": "fragments", "mtu": mtu, "expect": error, "message": message}
        yield f"bad_fragments_{name}", command, table, raw(eval(command))


def clamped():
    """Segments, and what scapy builds with the MSS that they should have."""
    for name, (flags, options, mtu, mss) in CLAMPED.items():
        command = SEGMENT % (flags, options)
        lowered = [(option, mss if option == "MSS" and mss else value) for option, value in options]
        yield f"clamp_mss_{name}", command, {
            "call": "clamp_mss",
            "mtu": mtu,
            "before": dict(options)["MSS"] if mss else "none",
            "packet": raw(eval(SEGMENT % (flags, lowered))).hex(),
        }, raw(eval(command))


def reported():
    """ICMP errors, and of what packet each is about."""
    for name, (says, header, about, answered) in ICMP_ERRORS.items():
        quoted = eval(about)
        inner = IP(quoted)
        around = f'IP(src="{ROUTER}", dst="{inner.src}", id=0, tos=0xc0)'
        command = f"{header}/Raw({about})"
        octets = raw(eval(command))
        yield f"icmp_error_{name}", command, {
            "call": "icmp_error",
            "error": says,
            "packet_header": raw(eval(f"{around}/{command}"))[:20].hex(),
            "quoted": quoted.hex(),
            "quoted.source": inner.src,
            "quoted.destination": inner.dst,
            "quoted.protocol": inner.proto,
            "quoted.dont_fragment": str(bool(inner.flags.DF)).lower(),
            "quoted.fragment_offset": inner.frag,
            "quoted.total_len": inner.len,
            "quoted.header_len": inner.ihl * 4,
            "quoted.may_be_answered": str(answered).lower(),
            "quoted.payload": quoted[inner.ihl * 4:].hex() or "none",
        }, octets
    for name, (command, error, message) in BAD_ICMP_ERRORS.items():
        yield f"bad_icmp_error_{name}", command, {"call": "icmp_error", "expect": error, "message": message}, raw(eval(command))


def relayed():
    """ICMP errors from inside a tunnel."""
    ends = {"local": "172.18.0.3", "remote": "172.18.0.2"}
    for name, (header, about, same_network, action, told, mtu) in TUNNEL_ERRORS.items():
        command = f"{header}/Raw({about})"
        yield f"tunnel_error_rfc2003_{name}", command, {"call": "tunnel_error"} | ends | {
            "context_mtu": 1380,
            "same_network": str(same_network).lower(),
            "action": action,
            "told": told,
            "mtu": mtu,
            "original": eval(about)[20:].hex(),
            "inner": str(len(eval(about)) >= 40).lower(),
        }, raw(eval(command))
    for name, (about, error, message) in BAD_TUNNEL_ERRORS.items():
        command = f"ICMP(type=3, code=1)/Raw({about})"
        table = {"call": "tunnel_error"} | ends | {"expect": error, "message": message}
        yield f"bad_tunnel_error_{name}", command, table, raw(eval(command))


def vectors():
    """Name, command, table and octets of each."""
    for inner in EXIT:
        yield from leaving(inner)
    yield from cut()
    yield from clamped()
    yield from reported()
    yield from relayed()
