"""The package as a whole: exceptions, logging, threads, version, example."""

from __future__ import annotations

import errno
import importlib.metadata
import logging
import os
import pickle
import re
import runpy
import sys
import threading
import time
from pathlib import Path

import pytest
from world import BLACKHOLE, WORKLOAD, python

import ipip

ROOT = Path(__file__).resolve().parents[2]


def test_every_exception_has_its_place() -> None:
    tree: dict[type[ipip.Error], tuple[type[BaseException], ...]] = {
        ipip.InvalidArgument: (ValueError,),
        ipip.PacketError: (ValueError,),
        ipip.DamagedCapture: (ValueError,),
        ipip.NotFound: (LookupError,),
        ipip.Exhausted: (),
        ipip.Taken: (),
        ipip.InTheWay: (ipip.Taken,),
        ipip.Busy: (),
        ipip.StoreError: (),
        ipip.Damaged: (ipip.StoreError,),
        ipip.KernelError: (OSError,),
        ipip.NoPrivilege: (ipip.KernelError, PermissionError),
        ipip.NoSuchObject: (ipip.KernelError, FileNotFoundError, ipip.NotFound),
        ipip.AlreadyExists: (ipip.KernelError, FileExistsError),
        ipip.NoDriver: (ipip.KernelError,),
        ipip.NoGuard: (),
        ipip.PartWritten: (ipip.KernelError,),
    }
    for exception, bases in tree.items():
        assert issubclass(exception, (ipip.Error,)) and all(issubclass(exception, base) for base in bases)
    exported = {getattr(ipip, name) for name in ipip.errors.__all__}
    assert exported == {ipip.Error, *tree} and set(ipip.errors.__all__) < set(ipip.__all__)
    documented = ipip.errors.__doc__ or ""
    assert all(f"``{name}``" in documented for name in ipip.errors.__all__)


def test_exceptions_survive_pickling() -> None:
    with pytest.raises(ipip.PacketError) as packet:
        ipip.parse(b"\x65" + bytes(19))
    with pytest.raises(ipip.KernelError) as kernel:
        ipip.Netns.named("ipip-py-nobody")
    for error in (packet.value, kernel.value):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
    assert (packet.value.layer, packet.value.kind, packet.value.found) == ("outer", "Version", 6)
    assert kernel.value.errno == errno.ENOENT


def test_version_and_features() -> None:
    assert ipip.__version__ == importlib.metadata.version("ipip")
    assert isinstance(ipip.features(), frozenset)
    whole = python("-m", "ipip")
    assert whole.returncode == 0 and whole.stdout.startswith(f"ipip {ipip.__version__}\nfeatures: ")
    assert python("-m", "ipip", "--version").stdout == f"ipip {ipip.__version__}\n"
    assert "usage: python -m ipip" in python("-m", "ipip", "--help").stdout
    wrong = python("-m", "ipip", "nonsense")
    assert wrong.returncode == 2 and "nonsense" in wrong.stderr


def test_everything_public_is_documented() -> None:
    for name in ipip.__all__:
        thing = getattr(ipip, name)
        if name == "__version__":
            continue
        assert thing.__doc__ and len(thing.__doc__) > 20, name
        assert thing.__module__.startswith("ipip"), name
        for attribute in vars(thing) if isinstance(thing, type) and not issubclass(thing, BaseException) else ():
            if not attribute.startswith("_"):
                assert getattr(thing, attribute).__doc__, f"{name}.{attribute}"
    text = ipip.__doc__ or ""
    named = set(re.findall(r"``(\w+)``", text))
    calls = {name for name in ipip.__all__ if name.islower() and not re.match("ensure_|remove_|__|features|host_veth", name)}
    assert calls <= named


def test_records_reach_the_logger(node: ipip.Netns, pod: ipip.Netns, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "ipip"):
        changes = ipip.ensure_workload(node, pod, WORKLOAD)
    steps = [record for record in caplog.records if record.levelno == logging.DEBUG]
    assert [record.getMessage() for record in steps] == list(changes.steps)
    assert all(record.name.startswith("ipip.") and record.pathname.endswith(".rs") and record.lineno for record in steps)
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "no answer to its ARP" in warning.getMessage()


def test_a_disabled_record_never_reaches_python(node: ipip.Netns, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[logging.LogRecord] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record)

    logger = logging.getLogger("ipip")
    logger.addHandler(handler := Handler())
    try:
        with caplog.at_level(logging.INFO, "ipip"):
            assert ipip.ensure_blackhole(node, BLACKHOLE)
        with caplog.at_level(logging.CRITICAL + 1, "ipip"):
            assert ipip.remove_blackhole(node, BLACKHOLE)
    finally:
        logger.removeHandler(handler)
    assert not seen


def test_a_handler_may_call_ipip_and_may_fail(
    node: ipip.Netns, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(node.run(record.getMessage))
            raise RuntimeError("a broken handler")

    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    logger = logging.getLogger("ipip")
    logger.addHandler(handler := Handler())
    try:
        with caplog.at_level(logging.DEBUG, "ipip"):
            assert ipip.ensure_blackhole(node, BLACKHOLE)
    finally:
        logger.removeHandler(handler)
    assert len(seen) == len(unraisable) == 1


def test_the_gil_is_free_while_a_call_waits(node: ipip.Netns) -> None:
    ticks = 0
    with ipip.LiveCapture(node, "lo") as capture:
        waiter = threading.Thread(target=capture.next_frame, args=(0.3,))
        waiter.start()
        while waiter.is_alive():
            ticks += 1
            time.sleep(0.001)
    assert ticks > 50


def test_threads_share_objects(node: ipip.Netns) -> None:
    block, faults = ipip.Block("10.0.0.0/20"), []

    def work() -> None:
        try:
            for _ in range(200):
                block.assign_any("h")
                ipip.ensure_blackhole(node, BLACKHOLE)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    # Two threads may both find the blackhole missing; then the kernel refuses the second.
    assert all(isinstance(fault, ipip.AlreadyExists) for fault in faults)
    assert block.used_count >= 800 - 200 * len(faults)


def test_a_second_interpreter_is_refused_clearly() -> None:
    program = """if True:
        import ipip
        try:
            import _interpreters as interpreters  # Python 3.13
        except ImportError:
            import _xxsubinterpreters as interpreters
        try:
            print(interpreters.run_string(interpreters.create(), "import ipip"))
        except Exception as error:
            print(error)
        print(ipip.checksum(b""))
    """
    done = python("-c", program)
    assert done.returncode == 0 and "ImportError" in done.stdout and "subinterpreter" in done.stdout, done
    assert done.stdout.endswith("65535\n")


def test_importing_starts_no_thread_and_opens_nothing() -> None:
    program = (
        "import os, threading; before = sorted(os.listdir('/proc/self/fd'))\n"
        "import ipip; print(len(os.listdir('/proc/self/task')), threading.active_count(),"
        " sorted(os.listdir('/proc/self/fd')) == before)"
    )
    assert python("-c", program).stdout.split() == ["1", "1", "True"]


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(ROOT / "examples/python/first_steps.py"), run_name="__main__")
    output = capsys.readouterr().out
    assert "172.18.0.3 > 172.18.0.2" in output and "10.244.79.20" in output
    if os.geteuid() == 0:
        assert "ip link add cali" in output and "a second call: 0 changes" in output


def test_the_readme_runs(node: ipip.Netns) -> None:
    text = (ROOT / "ipip-py/README.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", text, re.S)
    names = {"node-a": f"ipip-py-readme-a-{os.getpid()}", "pod-a": f"ipip-py-readme-p-{os.getpid()}"}
    for name, unique in names.items():
        program = program.replace(f'Netns.create("{name}")', f'Netns.create("{unique}")')
    try:
        done = python("-c", program)
        assert done.returncode == 0 and "ip link add cali" in done.stdout, done.stderr
    finally:
        for unique in names.values():
            ipip.Netns.remove(unique)
