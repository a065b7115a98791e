"""`python -m ipip capture` beside the example read_capture, which is Rust: the same options print the same."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from captures import ROOT, by_scapy, vectors, write

import ipip

EXAMPLE = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug/examples/read_capture"
OPTIONS = [
    "",
    "--tree",
    "--json",
    "--tree --json",
    "--json --tree",
    "--findings",
    "--findings --mtu 100",
    "--findings --mtu 1500 --mtu 80 --mtu wire=120 --mtu cooked2=40",
    "--findings --peer 10.244.79.0/26=172.18.0.3 --peer 10.244.0.0/16=172.18.0.2",
    "--journeys",
    "--journeys --findings --mtu +90 --tree",
    "--protocol 4",
    "--protocol 17 --tree",
    "--between 172.18.0.3,172.18.0.2",
    "--protocol 4 --between 172.18.0.0/24 --between 10.244.79.0/26",
    "--protocol 255 --json",
]


def run(program: list[str], arguments: list[str], stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*program, *arguments], input=stdin, capture_output=True, check=False, timeout=60)


def ours(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return run([sys.executable, "-m", "ipip", "capture"], list(arguments), stdin)


def agree(arguments: list[str], stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    found, expected = ours(*arguments, stdin=stdin), run([str(EXAMPLE)], arguments, stdin)
    assert found.returncode == expected.returncode, (found, expected)
    assert found.stdout == expected.stdout
    if found.returncode != 2:
        assert found.stderr.replace(b"python -m ipip capture: ", b"read_capture: ") == expected.stderr
    return found


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Captures of all link types, one of them damaged."""
    folder = tmp_path_factory.mktemp("captures")
    frames = [vector.frame for vector in vectors()]
    paths = [by_scapy(folder / "wire.pcap", 6, 200)]
    for name, link_type in [("ether", "ethernet"), ("tunl0.x", "raw_ip"), ("cooked", "linux_sll"), ("cooked2", "linux_sll2")]:
        paths.append(write(folder / f"{name}.pcap", [frame for frame in frames if frame.link_type == link_type]))
    paths.append(write(folder / "noending", [ipip.Frame(b"abc", link_type=105)]))
    with paths[1].open("ab") as stream:
        stream.write(b"half a record")
    return [str(path) for path in paths]


@pytest.mark.parametrize("options", OPTIONS)
def test_both_print_the_same(files: list[str], options: str) -> None:
    for chosen in (files, files[:1], files[4:5]):
        done = agree([*shlex.split(options), *chosen])
        assert done.returncode == (chosen is files)
        assert len(done.stdout) > 100 or "255" in options or chosen is not files


def test_a_damaged_file_is_shown_up_to_the_damage(files: list[str]) -> None:
    done = agree([files[1]])
    offset = os.path.getsize(files[1]) - len(b"half a record")
    expected = f"{files[1]}: capture is damaged at offset {offset}: it is cut off: found 13 octets, needs 16\n"
    assert done.returncode == 1 and done.stderr.decode() == expected
    assert len(done.stdout.splitlines()) == sum(vector.frame.link_type == "ethernet" for vector in vectors())


def test_every_length_of_a_small_file_agrees(tmp_path: Path) -> None:
    frames = [vector.frame for vector in vectors() if vector.frame.link_type == "raw_ip"][:2]
    whole = write(tmp_path / "whole.pcap", frames).read_bytes()
    for length in (0, 3, 4, 23, 24, 25, 39, 40, 41, 123, 124, 125, len(whole) - 1, len(whole)):
        (tmp_path / "cut.pcap").write_bytes(whole[:length])
        agree([str(tmp_path / "cut.pcap"), "--json"])


def test_what_cannot_be_read_is_named(files: list[str], tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pcap")
    done = agree([files[0], missing])
    assert done.returncode == 1 and done.stdout == b"" and missing in done.stderr.decode()
    agree([str(tmp_path)])
    agree([str(Path(__file__))])


def test_standard_input_is_a_file(files: list[str]) -> None:
    octets = Path(files[0]).read_bytes()
    done = agree(["-", "--findings"], octets)
    assert done.stdout == ours(files[0], "--findings").stdout
    assert b"/dev/stdin: capture is damaged" in agree(["-"], octets[:-1]).stderr
    assert agree(["-", files[2]], octets).stdout.startswith(b"stdin:\n")


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "--mtu FILE",
        "--mtu -1 FILE",
        "--mtu 1_500 FILE",
        "--mtu 18446744073709551616 FILE",
        "--protocol 256 FILE",
        "--protocol x FILE",
        "--between 10.0.0.1/8 FILE",
        "--between 10.0.0.0.1 FILE",
        "--between , FILE",
        "--peer 10.0.0.0/8 FILE",
        "--peer 10.0.0.0/8=x FILE",
        "--peer x=10.0.0.1 FILE",
        "--json --findings FILE",
        "--json --journeys FILE",
        "--unknown FILE",
        "--tre FILE",
        "FILE --mtu",
    ],
)
def test_wrong_options_are_refused_by_both(files: list[str], arguments: str) -> None:
    done = agree([files[0] if argument == "FILE" else argument for argument in shlex.split(arguments)])
    assert done.returncode == 2 and done.stdout == b"" and b"usage: python -m ipip capture" in done.stderr


def test_a_reader_that_leaves_early_is_no_failure(files: list[str]) -> None:
    command = f"{shlex.quote(sys.executable)} -m ipip capture --tree {' '.join(map(shlex.quote, [files[0]] * 20))}"
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -1; echo ${{PIPESTATUS[0]}}"], capture_output=True, check=True, text=True, timeout=60
    )
    assert done.stdout == "wire:\n0\n" and done.stderr == ""


def test_help_names_every_option() -> None:
    done = ours("--help")
    text = done.stdout.decode()
    usage = (ROOT / "examples/read_capture/options.rs").read_text()
    options = {word for line in usage.splitlines() for word in line.split() if line.startswith("  --") and word.startswith("--")}
    assert done.returncode == 0 and len(options) > 7
    assert {option.rstrip(",") for option in options} <= set(text.replace(",", " ").split())
