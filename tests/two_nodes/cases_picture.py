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


def subset(entry, *keys):
    """These keys of a JSON object."""
    return {key: entry.get(key) for key in keys}


def expect_picture(kind):
    """Both nodes and both pods; `kind` is tunl0's: ipip or tun."""
    for node, addr, tunnel_addr, block, pod, veth, other_block, other in NODES:
        expect_tunl0(node, kind, tunnel_addr)
        routes = [
            {"dst": "default", "gateway": "172.18.0.1", "dev": "eth0"},
            {"type": "blackhole", "dst": block, "protocol": "bird"},
            {"dst": pod, "dev": veth, "scope": "link"},
            {"dst": other_block, "gateway": other, "dev": "tunl0", "protocol": "bird", "flags": ["onlink"]},
            {"dst": "172.18.0.0/16", "dev": "eth0", "protocol": "kernel", "scope": "link", "prefsrc": addr},
        ]
        wanted = [{"flags": [], **route} for route in routes]
        by_prefix = lambda route: route["dst"]  # noqa: E731
        expect(sorted(job.ip_json(node, "route"), key=by_prefix), sorted(wanted, key=by_prefix), f"routes of {node}")
        (link,) = job.ip_json(node, "-d", "link", "show", veth)
        found = subset(link, "address", "mtu", "operstate") | {"kind": link["linkinfo"]["info_kind"]}
        wanted = {"address": "ee:ee:ee:ee:ee:ee", "mtu": 1480, "operstate": "UP", "kind": "veth"}
        expect(found, wanted, f"{veth} of {node}")
        expect(addresses(node, veth), [], f"addresses of {veth}")
        expect(addresses(node, "eth0"), [(addr, 16)], f"addresses of eth0 in {node}")
        for setting, value in [(f"{veth}.proxy_arp", "1"), (f"{veth}.forwarding", "1"), ("tunl0.forwarding", "1")]:
            path = f"/proc/sys/net/ipv4/conf/{setting.replace('.', '/')}"
            expect(job.run("ip", "netns", "exec", node, "cat", path).strip(), value, f"{setting} in {node}")
    for netns, addr in PODS:
        routes = [
            {"dst": "default", "gateway": "169.254.1.1", "dev": "eth0", "flags": []},
            {"dst": "169.254.1.1", "dev": "eth0", "scope": "link", "flags": []},
        ]
        expect(job.ip_json(netns, "route"), routes, f"routes of {netns}")
        expect(addresses(netns, "eth0"), [(addr, 32)], f"addresses of eth0 in {netns}")
        (link,) = job.ip_json(netns, "link", "show", "eth0")
        expect(subset(link, "mtu", "operstate"), {"mtu": 1480, "operstate": "UP"}, f"eth0 of {netns}")


def expect_tunl0(node, kind, tunnel_addr):
    """tunl0 of one node."""
    (link,) = job.ip_json(node, "-d", "link", "show", "tunl0")
    expect(link["mtu"], 1480, f"MTU of tunl0 in {node}")
    expect(link["linkinfo"]["info_kind"], kind, f"kind of tunl0 in {node}")
    flags = set(link["flags"])
    expect_true({"NOARP", "UP"} <= flags and "BROADCAST" not in flags, f"flags of tunl0 in {node}: {link['flags']}")
    if kind == "ipip":
        wanted = {"proto": "any", "remote": "any", "local": "any", "ttl": 0, "pmtudisc": False}
        expect(link["linkinfo"]["info_data"], wanted, f"tunnel of tunl0 in {node}")
    expect(addresses(node, "tunl0"), [(tunnel_addr, 32)], f"addresses of tunl0 in {node}")


def addresses(netns, interface):
    """The IPv4 addresses of an interface with their prefix lengths."""
    (link,) = [found for found in job.ip_json(netns, "-4", "addr") if found["ifname"] == interface] or [{}]
    return [(entry["local"], entry["prefixlen"]) for entry in link.get("addr_info", [])]


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
    for _ in range(2):
        expect(job.two_nodes("--keep").code, 0, "exit code")
        expect_picture("ipip")
    job.two_nodes()
    expect(job.namespaces(), [], "namespaces after a run without --keep")
