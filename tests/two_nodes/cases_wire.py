"""What crosses the four points: captures of our own against tcpdump's, and links that go down in the middle."""

import os
import re
import signal
import subprocess
import time

import job
import packets
from suite import Fault, Skip, case, expect, expect_true


class Tcpdump:
    """tcpdump at one point, until it is stopped; it keeps its namespace alive meanwhile."""

    def __init__(self, point):
        self.name, netns, interface = point
        self.path = f"{job.WORK}/tcpdump-{self.name}.pcap"
        command = ["ip", "netns", "exec", netns, "tcpdump", "-Z", "root", "--immediate-mode", "-U", "-n"]
        # Immediate mode counts its ring in frames of the longest length: only a few of 262144 octets would fit.
        command += ["-s", "2048", "--time-stamp-precision=nano", "-i", interface, "-w", self.path]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
        self.said = ""
        while "listening on" not in self.said:
            line = self.process.stderr.readline()
            self.said += line
            if not line:
                raise Fault(f"tcpdump at {self.name}: {self.said}")

    def stop(self, count):
        """Ends it when it has written so many echo messages, or had its time; nothing was dropped."""
        deadline = time.monotonic() + 5
        while len(packets.echo_octets(self.path)) < count and time.monotonic() < deadline:
            time.sleep(0.05)
        self.process.send_signal(signal.SIGINT)
        self.said += self.process.stderr.read()
        self.process.wait(20)
        self.process.stderr.close()
        expect_true("\n0 packets dropped by kernel" in self.said, f"tcpdump at {self.name}: {self.said}")


@case("tcpdump at each point sees the same frames, octet for octet", "host", "uml", "qemu")
def independent_captures():
    if job.real_uid() != 0:
        raise Skip("needs root: tcpdump sets its groups, which an ordinary user's namespace refuses")
    count = 12
    directory = f"{job.WORK}/pcap-beside-tcpdump"
    with job.Held("--count", str(count), "--interval", "20", "--pcap", directory) as held:
        beside = [Tcpdump(point) for point in job.points()]
        ended = held.release()
        for tcpdump in beside:
            tcpdump.stop(count if job.one_way(ended.out, tcpdump.name) else 2 * count)
    job.expect_success(ended, 4, count, job.best_path())
    for tcpdump in beside:
        ours = f"{directory}/{tcpdump.name}.pcap"
        found, wanted = packets.echoes(ours), packets.echoes(tcpdump.path)
        encapsulated = tcpdump.name == "4-node-eth0"
        every = {
            packets.Echo(kind, 1, sequence, encapsulated): 1
            for sequence in range(1, count + 1)
            for kind in (("request",) if job.one_way(ended.out, tcpdump.name) else ("request", "reply"))
        }
        expect(dict(wanted), every, f"echo messages that tcpdump saw at {tcpdump.name}")
        expect(found, wanted, f"echo messages at {tcpdump.name}, ours against tcpdump's")
        expect(packets.echo_octets(ours), packets.echo_octets(tcpdump.path), f"octets at {tcpdump.name}")
    expect(sorted(os.listdir(directory)), [f"{name}.pcap" for name, _, _ in job.POINTS], "files of --pcap")


@case("tunl0 set down in the middle: not 0, and how many came back", "host", "uml")
def tunl0_down():
    link_down(job.NODE_A, "tunl0")


@case("the other node's tunl0 set down in the middle", "host")
def other_tunl0_down():
    link_down(job.NODE_B, "tunl0")


@case("the host's veth set down in the middle: the same", "host", "uml")
def host_veth_down():
    link_down(job.NODE_A, job.HOST_VETH)


@case("the underlay set down in the middle: the same", "host")
def underlay_down():
    link_down(job.NODE_B, "eth0")


def link_down(netns, interface):
    """Sets a link down between the second and the fourth echo."""
    count, before = 5, job.links()
    command = [job.EXAMPLE, "--count", str(count), "--interval", "400"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        # This line is the last before the first echo.
        printed = "".join(iter_until(process.stdout, "data path: "))
        time.sleep(0.6)
        job.run("ip", "-n", netns, "link", "set", interface, "down")
        start = time.monotonic()
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    ended = job.Ended(process.returncode, printed + out, err, time.monotonic() - start)
    expect((ended.code, ended.err), (1, ""), "exit code and standard error")
    form = rf"two_nodes: (\d)/4 capture points, (\d)/{count} echoes, data path: {job.best_path()}"
    found = re.fullmatch(form, job.last_line(ended))
    expect_true(found, f"last line {job.last_line(ended)!r}")
    points, echoes = map(int, found.groups())
    expect_true(1 <= echoes < count, f"{echoes} of {count} came back: some should, and some should not")
    expect_true(points < 4, "every point saw every echo both ways, though some did not come back")
    job.expect_nothing_left(before)


def iter_until(lines, start):
    """Lines until one that starts so, with it."""
    for line in lines:
        yield line
        if line.startswith(start):
            return
    raise Fault(f"no line starts with {start!r}")
