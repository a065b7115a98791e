"""The life of one guest: what `uml` and `qemu` beside this file share.

A guest runs one command on the host's own file system, under a kernel that has the ipip driver. The wrapper makes a
run directory, starts the emulator in a process group of its own, passes the command's output on, and exits as the
command did. A watcher process outlives the wrapper whatever happens to it (even SIGKILL), ends the group and removes
the directory: there is one way of cleaning up, and every way of dying leads to it.

    wrapper --- output pipes, exit code in a file ---- emulator (group of its own) --- init --- COMMAND
       `------- pipe, closed by death ---------------- watcher

Exit codes of the wrapper's own: 124 the time limit passed, 125 the guest ended without an exit code or could not be
started, 126 and 127 as in a shell (from inside the guest), 128+N the wrapper got signal N.
"""

import argparse
import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# Loaded before the command starts. Other modules load by themselves, as on any Linux: init points
# /proc/sys/kernel/modprobe at this guest's own modules.
MODULES = ["veth", "tun", "ipip", "sch_ingress", "cls_bpf", "act_bpf"]
# The guest mounts file systems of its own over these; what the host has there is out of its sight.
HIDDEN = ("/proc", "/sys", "/dev", "/run", "/var/run")
# Variables of the host that would name things the guest does not have.
NOT_PASSED = {"TMPDIR", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "SHLVL", "_", "PWD", "OLDPWD"}


class Stop(Exception):
    """A signal to the wrapper, or a reader that went away: carries the exit code."""


def say(name, text):
    """One line of the wrapper's own, on standard error."""
    os.write(2, f"tests/kernel/{name}: {text}\n".encode())


def parse(name, arguments):
    """The wrapper's command line."""
    parser = argparse.ArgumentParser(
        prog=f"tests/kernel/{name}",
        description="Runs COMMAND on the host's files under a kernel that has the ipip driver.",
    )
    parser.add_argument("--timeout", type=float, default=900, metavar="SECONDS", help="default 900")
    parser.add_argument("--memory", type=int, default=512, metavar="MIB", help="default 512")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")
    options = parser.parse_args(arguments)
    if options.command[:1] == ["--"]:
        del options.command[0]
    if not options.command:
        parser.error("which command?")
    return options


def shell_exports(environment):
    """The environment as shell lines; names that a shell cannot hold are left out."""
    return "".join(
        f"export {key}={shlex.quote(value)}\n"
        for key, value in environment.items()
        if key.isidentifier() and key not in NOT_PASSED
    )


def write_run_dir(run_dir, name, command):
    """Writes the guest's first process and, as a script, the command with its environment."""
    here = os.getcwd()
    if any(here == place or here.startswith(place + "/") for place in HIDDEN):
        raise OSError(f"the working directory {here} is not visible in a guest")
    umask = os.umask(0o022)
    with open(f"{run_dir}/command", "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(shell_exports(os.environ))
        file.write(f"export IPIP_GUEST={name} TMPDIR=/run/tmp\ncd {shlex.quote(here)} || exit 126\n")
        file.write(f"umask {umask:o}\nexec {shlex.join(command)}\n")
    with open(f"{run_dir}/init", "w", encoding="utf-8") as file:
        file.write(f"#!/bin/busybox sh\nguest={name}\nrun_dir={run_dir}\nmodules='{' '.join(MODULES)}'\n")
        file.write(f". {shlex.quote(HERE + '/init')}\n")
    os.chmod(f"{run_dir}/init", 0o755)


def start_watcher(run_dir):
    """Forks the watcher. Returns its pid and the pipe that tells it the group to end, and, by closing, when."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid:
        os.close(read_end)
        return pid, write_end
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.closerange(3, read_end)
        os.closerange(read_end + 1, 1024)
        told = b""
        while chunk := os.read(read_end, 64):
            told += chunk
        if told:
            try:
                os.killpg(int(told), signal.SIGKILL)
            except ProcessLookupError:
                pass
        # A dying emulator may still write into its directory: until it is gone for good.
        for _ in range(100):
            shutil.rmtree(run_dir, ignore_errors=True)
            if not os.path.exists(run_dir):
                break
            time.sleep(0.02)
    finally:
        os._exit(0)


def pass_on(source, target, stopped):
    """Copies bytes from the guest to one of the wrapper's outputs until the guest closes it."""
    while chunk := os.read(source, 65536):
        view = memoryview(chunk)
        while view and not stopped.is_set():
            try:
                view = view[os.write(target, view):]
            except BlockingIOError:
                select.select([], [target], [])
            except OSError:
                stopped.set()
                os.kill(os.getpid(), signal.SIGPIPE)


def stop(number, _frame):
    """Signal handler: ends the wait in `run`."""
    raise Stop(128 + number)


def wait_for(pid, seconds):
    """Waits until the process ended; it stays unreaped, so that its group's number stays taken. False: time is up."""
    fd = os.pidfd_open(pid)
    try:
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        return bool(poller.poll(seconds * 1000))
    finally:
        os.close(fd)


def exit_code(name, run_dir):
    """The command's exit code as init left it, or 125 with the end of the guest's console."""
    try:
        with open(f"{run_dir}/status", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        pass
    say(name, "the guest ended without an exit code; the end of its console:")
    with open(f"{run_dir}/console", "rb") as file:
        os.write(2, b"\n".join(file.read()[-4000:].splitlines()[-25:]) + b"\n")
    return 125


def run(name, boot, options):
    """Runs the command in a guest; `boot` turns run directory, memory and the two output fds into the emulator's argv."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, stop)
    run_dir = tempfile.mkdtemp(prefix="ipip-guest-", dir="/tmp")
    watcher, death_pipe = start_watcher(run_dir)
    guest = None
    threads = []
    stopped = threading.Event()
    try:
        write_run_dir(run_dir, name, options.command)
        pipes = [os.pipe(), os.pipe()]
        outputs = [write_end for _, write_end in pipes]
        with open(f"{run_dir}/console", "wb") as console:
            guest = subprocess.Popen(
                boot(run_dir, options.memory, *outputs),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                pass_fds=outputs,
                start_new_session=True,
                env={"PATH": os.environ.get("PATH", os.defpath), "HOME": run_dir, "TMPDIR": memory_dir(run_dir, options)},
            )
        os.write(death_pipe, b"%d" % guest.pid)
        for target, (read_end, write_end) in enumerate(pipes, start=1):
            os.close(write_end)
            threads.append(threading.Thread(target=pass_on, args=(read_end, target, stopped), daemon=True))
            threads[-1].start()
        if not wait_for(guest.pid, options.timeout):
            say(name, f"stopped after {options.timeout:g} s, the time limit")
            return 124
        return exit_code(name, run_dir)
    except Stop as reason:
        stopped.set()
        return reason.args[0]
    except OSError as reason:
        say(name, f"cannot start a guest: {reason}")
        return 125
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        os.close(death_pipe)
        os.waitpid(watcher, 0)
        if guest:
            # Nothing is left to end, unless the watcher was itself ended by somebody.
            guest.kill()
            guest.wait()
        for thread in threads:
            thread.join(10)


def memory_dir(run_dir, options):
    """Where UML keeps the file that is its memory: /dev/shm if that has room, else the run directory."""
    try:
        room = os.statvfs("/dev/shm")
    except OSError:
        return run_dir
    return "/dev/shm" if room.f_bavail * room.f_frsize > options.memory << 20 else run_dir


def main(name, boot):
    """Entry point of both wrappers."""
    return run(name, boot, parse(name, sys.argv[1:]))
