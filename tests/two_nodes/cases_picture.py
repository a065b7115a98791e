"""The stage while it stands, as `ip` sees it, against the reference picture; and against what the example prints."""

import re

import job
from suite import case, expect, expect_true

#: Node, its address, its tunnel address, own block, pod, host veth, and the other's block and address.
NODES = [
    (job.NODE_A, "172.18.0.3", "10.244.79.0", "10.244.79.0/26", "10.244.79.20", "calidd33ceb84a6",
     "10.244.244.64/26", "172.18.0.2"),
    (job.NODE_B, "172.18.0.2", "10.244.244.64", "10.244.244.64/26", "10.244.244.73", "cali86a12876b92",
     "10.244.79.0/26", "172.18.0.3"),
]  # fmt: skip
PODS = [(job.POD_A, "10.244.79.20"), (job.POD_B, "10.244.244.73")]


def expect_picture(kind):
    """Both nodes and both pods; `kind` is tunl0's: ipip or tun."""
    for node, addr, tunnel_addr, block, pod, veth, other_block, other in NODES:
        links = {link["ifname"]: link for link in job.ip_json(node, "-d", "addr")}
        expect_tunl0(links["tunl0"], kind, node)
        expect_link(links[veth], {"address": "ee:ee:ee:ee:ee:ee", "mtu": 1480}, node)
        expect_link(links["eth0"], {"mtu": 1500}, node)
        found = {name: addresses(link) for name, link in links.items() if name != "lo"}
        wanted = {"tunl0": [(tunnel_addr, 32)], veth: [], "eth0": [(addr, 16)]}
        expect(found, {name: wanted.get(name) for name in found}, f"addresses in {node}")
        routes = [
            {"dst": "default", "gateway": "172.18.0.1", "dev": "eth0"},
            {"type": "blackhole", "dst": block, "protocol": "bird"},
            {"dst": pod, "dev": veth, "scope": "link"},
            {"dst": other_block, "gateway": other, "dev": "tunl0", "protocol": "bird", "flags": ["onlink"]},
            {"dst": "172.18.0.0/16", "dev": "eth0", "protocol": "kernel", "scope": "link", "prefsrc": addr},
        ]
        expect_routes(node, routes)
        settings = [f"{veth}/proxy_arp", f"{veth}/forwarding", "tunl0/forwarding"]
        paths = [f"/proc/sys/net/ipv4/conf/{setting}" for setting in settings]
        found = job.run("ip", "netns", "exec", node, "cat", *paths).split()
        expect(dict(zip(settings, found)), dict.fromkeys(settings, "1"), f"settings of {node}")
    for netns, addr in PODS:
        (link,) = [link for link in job.ip_json(netns, "-d", "addr") if link["ifname"] == "eth0"]
        expect_link(link, {"mtu": 1480}, netns)
        expect(addresses(link), [(addr, 32)], f"addresses of eth0 in {netns}")
        routes = [
            {"dst": "default", "gateway": "169.254.1.1", "dev": "eth0"},
            {"dst": "169.254.1.1", "dev": "eth0", "scope": "link"},
        ]
        expect_routes(netns, routes)


def expect_routes(netns, wanted):
    """The whole main table, in any order."""
    by_prefix = lambda route: route["dst"]  # noqa: E731
    wanted = sorted(({"flags": [], **route} for route in wanted), key=by_prefix)
    expect(sorted(job.ip_json(netns, "route"), key=by_prefix), wanted, f"routes of {netns}")


def expect_link(link, wanted, netns):
    """One veth end, by these keys."""
    expect({key: link.get(key) for key in wanted}, wanted, f"{link['ifname']} in {netns}")
    # Not the operstate, which follows up to a second later (the kernel's linkwatch).
    expect_true({"UP", "LOWER_UP"} <= set(link["flags"]), f"flags of {link['ifname']} in {netns}: {link['flags']}")
    expect(link["linkinfo"]["info_kind"], "veth", f"kind of {link['ifname']} in {netns}")


def expect_tunl0(link, kind, node):
    """tunl0 of one node: any/any, NOARP, the underlay's MTU less 20."""
    expect((link["mtu"], link["linkinfo"]["info_kind"]), (1480, kind), f"MTU and kind of tunl0 in {node}")
    flags = set(link["flags"])
    expect_true({"NOARP", "UP"} <= flags and "BROADCAST" not in flags, f"flags of tunl0 in {node}: {link['flags']}")
    if kind == "ipip":
        wanted = {"proto": "any", "remote": "any", "local": "any", "ttl": 0, "pmtudisc": False}
        expect(link["linkinfo"]["info_data"], wanted, f"tunnel of tunl0 in {node}")


def addresses(link):
    """Its IPv4 addresses with their prefix lengths."""
    return [(entry["local"], entry["prefixlen"]) for entry in link["addr_info"] if entry["family"] == "inet"]


@case("while it runs, ip sees the reference picture", "host", "uml", "qemu")
def during_the_run():
    kernel = job.has_driver()
    with job.Held("--count", "1") as held:
        expect_picture("ipip" if kernel else "tun")
        routes = {node: job.run("ip", "-n", node, "route") for node in (job.NODE_A, job.NODE_B)}
        tunnels = {node: job.run("ip", "-n", node, "tunnel", "show", "tunl0") if kernel else "" for node in routes}
        ended = held.release()
    job.expect_success(ended, 4, 1, job.best_path())
    for node, text in routes.items():
        section = re.search(rf"^{node.removeprefix('ipip-')}:\n((?:  .*\n)*)", ended.out, re.M)[1]
        tunl0, *printed = (line.strip() for line in section.splitlines())
        expect(printed, [line.strip() for line in text.splitlines()], f"routes as printed and as ip prints them, {node}")
        expect_true(tunl0.startswith(tunnels[node].strip()), f"tunl0 as printed {tunl0!r}, as ip prints it {tunnels}")


@case("what --keep leaves is the reference picture", "uml")
def after_keep():
    expect(job.two_nodes("--keep").code, 0, "exit code")
    expect_picture("ipip")
    job.expect_success(job.two_nodes(), 4, 3, "kernel")
    expect(job.namespaces(), [], "namespaces after a run without --keep")
