"""Ended at random moments by SIGINT and SIGKILL: what stays, and that the next run works."""

import os
import random
import signal
import subprocess
import time

import job
from suite import case, expect, expect_true, say

ROUNDS = 20
#: Where starting a process is slow; what differs there is the data path.
GUEST_ROUNDS = 5
#: A person who pressed Ctrl-C should have the prompt back by then.
PATIENCE = 1.0


def seed():
    """TWO_NODES_SEED, or a new one; printed, so that a failure can be had again."""
    value = int(os.environ.get("TWO_NODES_SEED") or random.randrange(10**6))
    say(f"        TWO_NODES_SEED={value}")
    return random.Random(value)


def end_at(moment, number, *args):
    """Starts a run and sends it a signal after so many seconds: exit code, seconds until it had ended, standard error.
    None if it had ended by itself."""
    process = subprocess.Popen([job.EXAMPLE, *args], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(moment)
    alive = process.poll() is None
    start = time.monotonic()
    process.send_signal(number)
    err = process.communicate(timeout=60)[1]
    return (process.returncode, time.monotonic() - start, err) if alive else None


def rounds(number):
    """So many runs that were ended while they ran, at moments spread over a whole run."""
    chance = seed()
    whole = job.two_nodes().seconds
    done, wanted = 0, GUEST_ROUNDS if job.IN_GUEST else ROUNDS
    for _ in range(wanted * 3):
        ended = end_at(chance.uniform(0, whole), number)
        if ended:
            yield ended
            done += 1
            if done == wanted:
                return
    expect(done, wanted, "runs that were ended before they were done")


@case("SIGINT at random moments: ends at once, not with 0, and leaves nothing", "host", "uml")
def interrupted():
    before = job.links()
    slowest = done = 0
    for code, seconds, err in rounds(signal.SIGINT):
        # By the signal itself where it came before the program had begun.
        expect_true(code in (130, -signal.SIGINT), f"exit code {code}, standard error {err!r}")
        expect_true(err in ("", "two_nodes: interrupted\n"), f"standard error {err!r}")
        slowest = max(slowest, seconds)
        done += 1
        job.expect_nothing_left(before)
    say(f"        the slowest of {done} had ended after {slowest * 1000:.0f} ms")
    expect_true(slowest < PATIENCE, f"one took {slowest:.1f} s to end")
    job.expect_success(job.two_nodes(), 4, 3, job.best_path())
    job.expect_nothing_left(before)


@case("SIGINT ends a long wait between two echoes, and a wait for a reply, at once", "host")
def interrupted_while_it_waits():
    before = job.links()
    code, seconds, _ = end_at(1.0, signal.SIGINT, "--interval", "10000")
    expect_true(code == 130 and seconds < PATIENCE, f"exit code {code} after {seconds:.1f} s")
    code, seconds, _ = end_at(1.0, signal.SIGTERM, "--interval", "10000")
    expect_true(code != 0 and seconds < PATIENCE, f"SIGTERM: exit code {code} after {seconds:.1f} s")
    job.expect_nothing_left(before)


@case("SIGKILL at random moments: the next run clears what is left, and works", "host", "uml")
def killed():
    before = job.links()
    left = done = 0
    for code, _, _ in rounds(signal.SIGKILL):
        expect(code, -signal.SIGKILL, "exit code")
        expect((job.processes(), job.links()), ([], before), "processes and links afterwards")
        left += bool(job.namespaces())
        done += 1
    say(f"        {left} of {done} left namespaces")
    job.expect_success(job.two_nodes(), 4, 3, job.best_path())
    job.expect_nothing_left(before)


@case("killed while its stage stands: the next run says what it clears", "host")
def killed_in_the_middle():
    before = job.links()
    with job.Held() as held:
        held.process.kill()
        held.process.wait()
    expect(job.namespaces(), sorted(job.ALL), "namespaces that the killed run left")
    # And a name whose namespace was never mounted: killed between the file and the mount.
    with open("/run/netns/ipip-pod-a2", "x", encoding="ascii"):
        pass
    ended = job.two_nodes()
    job.expect_success(ended, 4, 3, job.best_path())
    expect(ended.out.count("cleared namespace ipip-"), 5, "namespaces that it says it cleared")
    job.expect_nothing_left(before)


@case("namespaces of others with names like ours stay", "host")
def foreign_namespaces():
    before = job.links()
    others = ["ipip-nodes", "ipip-test-1", "node-a", "ipip-podium"]
    for name in others:
        job.run("ip", "netns", "add", name)
    try:
        job.expect_success(job.two_nodes(), 4, 3, job.best_path())
        job.expect_nothing_left(before, others)
    finally:
        for name in others:
            job.run("ip", "netns", "del", name)
