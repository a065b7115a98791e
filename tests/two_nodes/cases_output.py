"""What a run prints and how it ends: plain runs, arguments, data paths, privileges."""

import os
import re
import shutil
import stat
import subprocess
import time

import job
from suite import Skip, case, expect, expect_true

UNPRIVILEGED = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all")
USER_NAMESPACES = "/proc/sys/user/max_user_namespaces"
FALLBACK = "/proc/sys/net/core/fb_tunnels_only_for_init_net"


def set_switch(path, value):
    """Writes a kernel setting; returns what it was."""
    with open(path, "r+", encoding="ascii") as file:
        before = file.read().strip()
        file.seek(0)
        file.write(value)
    return before


@case("4/4 capture points, every echo, the best data path there is", "host", "uml", "qemu")
def plain():
    before = job.links()
    ended = job.two_nodes("--pcap", f"{job.WORK}/pcap")
    with open(f"{job.WORK}/out", "w", encoding="utf-8") as file:
        file.write(ended.out)
    job.expect_success(ended, 4, 3, job.best_path())
    job.expect_nothing_left(before)
    for line in (
        "address plan, pool 10.244.0.0/16:",
        "  node-a 172.18.0.3: block 10.244.79.0/26, mask 255.255.255.192, 10.244.79.0 to 10.244.79.63",
        "  node-b 172.18.0.2: block 10.244.244.64/26, mask 255.255.255.192, 10.244.244.64 to 10.244.244.127",
        "overhead: 20 octets per packet, one IPv4 header (VXLAN adds 50)",
    ):
        expect_true(line in ended.out.splitlines(), f"this line is missing: {line}")
    expect(tree_layers(ended.out), TUNNELLED, "layers of the frame that is shown")


@case("as a newcomer runs it, on this machine itself", "machine")
def newcomer():
    for _ in range(60):
        ended = job.two_nodes()
        if "another run is under way" not in ended.err:
            break
        time.sleep(0.5)
    if job.real_uid() != 0 and ("user namespaces" in ended.err or "/dev/net/tun" in ended.err):
        raise Skip(ended.err.strip())
    job.expect_success(ended, 4, 3, job.best_path())
    expect(set(job.namespaces()) & set(job.ALL), set(), "namespaces that it left")


TUNNELLED = [
    "Frame: 118 octets on the wire, 118 octets captured",
    "Ethernet II",
    "Internet Protocol Version 4, Src: 172.18.0.3, Dst: 172.18.0.2",
    "Internet Protocol Version 4, Src: 10.244.79.20, Dst: 10.244.244.73",
    "Internet Control Message Protocol",
]


def tree_layers(out):
    """The unindented lines of the tree, without the MACs, which nobody set."""
    after = out.partition("layer by layer:\n")[2].partition("\n\n")[0]
    lines = [line for line in after.splitlines() if line[:1].isupper()]
    return [re.sub(", Src: [0-9a-f:]{17}, Dst: [0-9a-f:]{17}$", "", line) for line in lines]


@case("without a tunnel it is 3/3, and says why", "host", "uml")
def untunnelled():
    for mode, why in [
        ("never", "mode Never"),
        ("crosssubnet", "172.18.0.2 lies in the subnet of 172.18.0.3"),
    ]:
        ended = job.two_nodes("--mode", mode, "--count", "1")
        job.expect_success(ended, 3, 1, "none, routed directly")
        said = f"no outer addresses: {why}, so 10.244.244.64/26 is routed directly to 172.18.0.2"
        expect_true(said in ended.out.splitlines(), f"--mode {mode} does not say: {said}")
        expect([line for line in tree_layers(ended.out) if "Protocol Version" in line], TUNNELLED[3:4], "IP layers")
        expect_true("tunl0" not in ended.out, f"--mode {mode} names tunl0")


@case("three pods a node, two echoes each", "host", "uml")
def pods():
    ended = job.two_nodes("--pods", "3", "--count", "2")
    job.expect_success(ended, 4, 6, job.best_path())
    found = re.findall(r"^    (pod-\w+) (\S+) behind cali[0-9a-f]{11}$", ended.out, re.M)
    wanted = [("pod-a1", "10.244.79.20"), ("pod-a2", "10.244.79.1"), ("pod-a3", "10.244.79.2"),
              ("pod-b1", "10.244.244.73"), ("pod-b2", "10.244.244.65"), ("pod-b3", "10.244.244.66")]  # fmt: skip
    expect(found, wanted, "pods and their addresses")


@case("the largest stage: 60 pods a node", "host")
def most_pods():
    job.expect_success(job.two_nodes("--pods", "60", "--count", "1", "--interval", "0"), 4, 60, job.best_path())


@case("wrong arguments: exit code 2 and one sentence that names them", "host")
def arguments():
    for args, wanted in [
        (["--mode", "sometimes"], "--mode: "),
        (["--mode"], "--mode needs a value"),
        (["--data-path", "carrier-pigeon"], "--data-path: "),
        (["--pods", "0"], '--pods "0" is not a number from 1 to 60'),
        (["--pods", "61"], '--pods "61" is not a number from 1 to 60'),
        (["--count", "-1"], '--count "-1" is not a number from 1 to 10000'),
        (["--count", "10001"], '--count "10001" is not a number from 1 to 10000'),
        (["--interval", "soon"], '--interval "soon" is not a number from 0 to 10000'),
        (["--loud"], 'unknown argument "--loud"'),
        ([b"\xff"], 'unknown argument "'),
    ]:
        ended = job.two_nodes(*args)
        sentence, _, usage = ended.err.partition("\n")
        expect((ended.code, ended.out), (2, ""), f"{args}: exit code and standard output")
        expect_true(sentence.startswith(f"two_nodes: {wanted}"), f"{args}: {ended.err!r}, wanted {wanted!r}")
        expect_true(usage.startswith("usage: two_nodes "), f"{args}: no usage but {usage!r}")
    ended = job.two_nodes("--help")
    expect((ended.code, ended.err, ended.out[:17]), (0, "", "usage: two_nodes "), "--help")


@case("a --pcap directory that cannot be: one sentence, before anything is made", "host")
def pcap_directory():
    ended = job.two_nodes("--pcap", "/dev/null/here")
    expect((ended.code, ended.out, ended.err.count("\n")), (2, "", 1), "exit code, output, lines of error")
    expect_true("/dev/null/here" in ended.err, f"the directory is not named: {ended.err!r}")


@case("a reader that goes away ends it quietly", "host")
def closed_output():
    before = job.links()
    process = subprocess.Popen([job.EXAMPLE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    expect((process.wait(30), err), (1, ""), "exit code and standard error")
    job.expect_nothing_left(before)


@case("two at once: the second is refused in one sentence", "host")
def two_at_once():
    with job.Held() as first:
        second = job.two_nodes()
        expect((second.code, second.out, second.err), (2, "", "two_nodes: another run is under way\n"), "the second")
        job.expect_success(first.release(), 4, 3, job.best_path())


@case("--keep: the printed commands enter and remove, or the next run clears", "host", "uml")
def keep():
    before = job.links()
    for remove in (removed_as_printed, cleared_by_next_run):
        ended = job.two_nodes("--keep")
        expect(ended.code, 0, "exit code")
        expect(job.namespaces(), sorted(job.ALL), "namespaces that are kept")
        enter = re.search("enter one with `(.*)`", ended.out)
        expect_true(enter, f"no command to enter: {ended.out[-400:]}")
        inside = job.run("sh", "-c", f"{enter[1]} -c 'ip -br -4 addr show dev eth0'")
        expect(inside.split()[2:], ["172.18.0.3/16"], "address of eth0 in the namespace that was entered")
        remove(ended.out)
        job.expect_nothing_left(before)


def removed_as_printed(out):
    """The line after "remove all with"."""
    line = re.search("remove all with:\n  (.*)$", out, re.M)
    expect_true(line, f"no command to remove: {out[-400:]}")
    job.run("sh", "-ec", line[1])


def cleared_by_next_run(_out):
    """A run that finds them, says so and works."""
    ended = job.two_nodes()
    job.expect_success(ended, 4, 3, job.best_path())
    said = [line for line in ended.out.splitlines() if line.startswith("cleared ")]
    wanted = [f"cleared namespace {name} of an earlier run" for name in job.ALL]
    expect(sorted(said), sorted(wanted), "what it says it cleared")


@case("a data path that is not to be had: one sentence", "host", "uml")
def impossible_path():
    if job.has_driver():
        ended = job.two_nodes("--data-path", "userspace")
        wanted = "two_nodes: data path userspace needs the name tunl0, and an interface of kind ipip has it\n"
        expect(ended.err, wanted, "standard error")
    else:
        ended = job.two_nodes("--data-path", "kernel")
        expect_true("driver" in ended.err and ended.err.count("\n") == 1, f"one sentence: {ended.err!r}")
    expect((ended.code, ended.out), (2, ""), "exit code and standard output")
    expect(job.namespaces(), [], "namespaces afterwards")


@case("without a fallback device tunl0 is made; user space may then have its name", "uml", "qemu")
def no_fallback_device():
    before = set_switch(FALLBACK, "2")
    try:
        job.expect_success(job.two_nodes(), 4, 3, "kernel")
        job.expect_success(job.two_nodes("--data-path", "userspace"), 4, 3, "userspace")
    finally:
        set_switch(FALLBACK, before)


def as_nobody(*args, tun_mode=0o666):
    """A run by the user nobody, of a copy that nobody can reach; `tun_mode`: the mode of /dev/net/tun meanwhile."""
    if job.real_uid() != 0:
        raise Skip("needs root, to become another user")
    copy = f"/run/{os.path.basename(job.EXAMPLE)}"
    shutil.copy(job.EXAMPLE, copy)
    os.chmod(copy, 0o755)
    # A device file of our own in the place of the machine's, so that its mode is ours to choose.
    os.mknod("/run/tun", stat.S_IFCHR, os.makedev(10, 200))
    os.chmod("/run/tun", tun_mode)
    job.run("mount", "--bind", "/run/tun", "/dev/net/tun")
    example, job.EXAMPLE = job.EXAMPLE, copy
    try:
        return job.two_nodes(*args, prefix=UNPRIVILEGED)
    finally:
        job.EXAMPLE = example
        job.run("umount", "/dev/net/tun")
        os.unlink("/run/tun")
        os.unlink(copy)


@case("an ordinary user, in a user namespace of their own", "host", "uml")
def ordinary_user():
    before = job.links()
    ended = as_nobody()
    job.expect_success(ended, 4, 3, "kernel" if job.has_driver() else "userspace")
    if not job.has_driver():
        why = "CAP_BPF" in ended.out and "so this process carries the packets" in ended.out
        expect_true(why, f"the reason for user space: {ended.out}")
    job.expect_nothing_left(before)


@case("what an ordinary user cannot have: one sentence each", "host", "uml")
def ordinary_user_refused():
    refused = [(as_nobody("--keep"), "--keep needs root")]
    if not job.has_driver():
        refused.append((as_nobody(tun_mode=0o600), "/dev/net/tun: Permission denied"))
    for ended, wanted in refused:
        expect((ended.code, ended.out, ended.err.count("\n")), (2, "", 1), f"{wanted}: exit code, output, lines of error")
        expect_true(wanted in ended.err, f"standard error {ended.err!r}, wanted {wanted!r}")


@case("no user namespaces for ordinary users: one sentence", "uml")
def refused_user():
    before = set_switch(USER_NAMESPACES, "0")
    try:
        ended = as_nobody()
    finally:
        set_switch(USER_NAMESPACES, before)
    expect((ended.code, ended.out, ended.err.count("\n")), (2, "", 1), "exit code, output, lines of error")
    start = "two_nodes: needs root, or a system that lets ordinary users make user namespaces: "
    expect_true(ended.err.startswith(start), f"standard error {ended.err!r}")
    expect_true("max_user_namespaces" in ended.err, f"it does not name the setting: {ended.err!r}")
