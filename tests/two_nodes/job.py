"""Runs the example, and looks at the machine around it with `ip`."""

import fcntl
import json
import os
import re
import subprocess
import time
from collections import namedtuple

from suite import Fault, expect

#: The example's executable, set by `run`.
EXAMPLE = os.environ.get("TWO_NODES", "")
#: Where this place keeps its files: on the host's disk, which all places see.
WORK = os.environ.get("TWO_NODES_WORK", "")
#: Whether we are in a guest of tests/kernel.
IN_GUEST = "IPIP_GUEST" in os.environ

NODE_A, NODE_B, POD_A, POD_B = "ipip-node-a", "ipip-node-b", "ipip-pod-a1", "ipip-pod-b1"
HOST_VETH = "calidd33ceb84a6"
#: Every namespace, in the order in which they are made.
ALL = [NODE_A, NODE_B, POD_A, POD_B]
#: The points of the journey: the name of the capture file, the namespace, the interface.
POINTS = [
    ("1-pod-eth0", POD_A, "eth0"),
    (f"2-host-{HOST_VETH}", NODE_A, HOST_VETH),
    ("3-tunl0", NODE_A, "tunl0"),
    ("4-node-eth0", NODE_A, "eth0"),
]

Ended = namedtuple("Ended", "code out err seconds")


def two_nodes(*args, prefix=(), timeout=60):
    """One run from start to end; `prefix` is a command that starts it, such as setpriv."""
    start = time.monotonic()
    done = subprocess.run(
        [*prefix, EXAMPLE, *args], capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL
    )
    return Ended(done.returncode, done.stdout, done.stderr, time.monotonic() - start)


def last_line(ended):
    """The line that sums up a run."""
    return (ended.out.splitlines() or ["(nothing was printed)"])[-1]


def expect_success(ended, points, echoes, path):
    """Exit code, standard error and the last line of a run that worked."""
    wanted = f"two_nodes: {points}/{points} capture points, {echoes}/{echoes} echoes, data path: {path}"
    expect((ended.code, ended.err, last_line(ended)), (0, "", wanted), "exit code, standard error, last line")


def run(*command):
    """The output of a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise Fault(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def ip_json(netns, *args):
    """What `ip -j` says inside a namespace."""
    return json.loads(run("ip", "-n", netns, "-j", *args) or "[]")


def has_driver():
    """Whether this kernel makes ipip tunnels: asked of the kernel with `ip`, in a namespace of its own."""
    command = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    command += "ip link add look type ipip local 192.0.2.1 remote 192.0.2.2".split()
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def best_path():
    """The data path that should be chosen here, for root."""
    return "kernel" if has_driver() else "bpf"


def points():
    """The points of the journey, as `POINTS`: eBPF sends past its device, so that one is the receiver's."""
    if best_path() != "bpf":
        return POINTS
    return [(name, NODE_B if interface == "tunl0" else netns, interface) for name, netns, interface in POINTS]


def one_way(out, name):
    """Whether a run printed that a point sees only what arrives."""
    return name == "3-tunl0" and re.search("^tunl0 of node-b: .* arriving; eBPF sends past it$", out, re.M) is not None


def real_uid():
    """Our user as the machine sees it: a user namespace may show another."""
    with open("/proc/self/uid_map", encoding="ascii") as file:
        inside, outside, _ = map(int, file.readline().split())
    return os.geteuid() - inside + outside


def namespaces():
    """The names below /run/netns."""
    return sorted(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else []


def processes():
    """Command lines of all processes of ours that are the example; zombies too."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                name = file.read().strip()
        except OSError:
            continue
        if name == os.path.basename(EXAMPLE)[:15]:
            found.append(f"{pid} {name}")
    return found


def links():
    """The links of the namespace that we are in."""
    return re.findall(r"^\d+: ([^:]+):", run("ip", "-o", "link"), re.M)


def expect_nothing_left(links_before, names_before=()):
    """No namespace, no process, no link that was not there before."""
    found = (namespaces(), processes(), links())
    expect(found, (sorted(names_before), [], links_before), "namespaces, processes and links afterwards")


class Held:
    """A run that is stopped between setting its stage and its first echo: nobody reads its standard output, a pipe
    that is full from the start, so its first line waits. Look around, start captures, then `release`."""

    FILLER = b"#" * 4096

    def __init__(self, *args, prefix=()):
        self.read_end, write_end = os.pipe()
        size = fcntl.fcntl(self.read_end, fcntl.F_SETPIPE_SZ, len(self.FILLER))
        self.filler = b"#" * size
        os.write(write_end, self.filler)
        self.start = time.monotonic()
        self.process = subprocess.Popen(
            [*prefix, EXAMPLE, *args], stdout=write_end, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
        os.close(write_end)

    def __enter__(self):
        deadline = time.monotonic() + 30
        while not self.is_set():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Fault(f"the stage was not set: {self.release()}")
            time.sleep(0.05)
        return self

    def is_set(self):
        """Whether it waits to print, which is the next thing it does once the last pod has its routes."""
        routes = subprocess.run(["ip", "-n", POD_B, "route"], capture_output=True, text=True, check=False).stdout
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as file:
            state = file.read().rpartition(")")[2].split()[0]
        return "default" in routes and state == "S"

    def release(self, timeout=60):
        """Lets it go on; its output when it has ended."""
        with os.fdopen(self.read_end, "rb") as file:
            out = file.read()[len(self.filler) :]
        self.read_end = None
        err = self.process.stderr.read()
        code = self.process.wait(timeout)
        return Ended(code, out.decode(), err.decode(), time.monotonic() - self.start)

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        if self.read_end is not None:
            os.close(self.read_end)
        self.process.wait()
        self.process.stderr.close()
