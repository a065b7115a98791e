#!/usr/bin/env python3
"""An Ansible module: this host, or one of its containers, on the pod network.

Put it beside a playbook as ``library/ipip_node.py``; the hosts need the module ``ipip``. Run again it changes nothing::

    - ipip_node: {store: /var/lib/ipip/network.db, node: node-a, state: joined, labels: {zone: west}}
    - ipip_node: {store: /var/lib/ipip/network.db, node: node-a, state: synced}

``state`` is one of joined, synced, left, forgotten; for a container attached or detached, with ``namespace``,
``pod``, ``container`` and, to attach it, ``container_netns`` and perhaps ``interface`` and ``address``. The other
parameters are the options of ``python -m ipip node``. Without Ansible: ``echo '{"node": …}' | python FILE``.

Ansible takes the word WANT_JSON for: write the parameters to a file as JSON, and name it as the argument.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

COMMANDS = {
    "joined": ["join"],
    "synced": ["sync"],
    "left": ["leave"],
    "forgotten": ["leave", "--forget"],
    "attached": ["attach"],
    "detached": ["detach"],
}
#: Which parameters name what the command works on, in its order.
NAMES = {
    "attached": ["node", "namespace", "pod", "container", "container_netns"],
    "detached": ["node", "namespace", "pod", "container"],
}
OPTIONS = ["store", "netns", "underlay", "underlay_address", "mtu", "data_path", "network"]
FLAGS = ["no_guard", "adopt_felix"]
#: The exit status of ``--check`` where there is something to do.
WOULD_CHANGE = 3


class Wrong(Exception):
    """Parameters that no call takes."""


def command_of(parameters: dict[str, Any]) -> list[str]:
    """The command that does what the parameters say."""
    state = parameters.get("state", "joined")
    if state not in COMMANDS:
        raise Wrong(f"state {state!r} is none of {', '.join(COMMANDS)}")
    names = NAMES.get(state, ["node"])
    options = [*OPTIONS, *(["interface", "address"] if state == "attached" else [])]
    known = {"state", *names, *options, *FLAGS, *(["labels"] if state == "joined" else [])}
    # What Ansible adds for itself begins with an underscore.
    unknown = sorted(name for name in parameters if name not in known and not name.startswith("_"))
    if unknown:
        raise Wrong(f"state {state} takes no {', '.join(unknown)}; it takes {', '.join(sorted(known))}")
    missing = [name for name in names if not parameters.get(name)]
    if missing:
        raise Wrong(f"state {state} needs {', '.join(missing)}")
    command = [sys.executable, "-m", "ipip", "node", *COMMANDS[state], "--json"]
    command += [f"{_option(name)}={parameters[name]}" for name in options if parameters.get(name) is not None]
    command += [_option(name) for name in FLAGS if parameters.get(name)]
    command += [f"--label={key}={value}" for key, value in (parameters.get("labels") or {}).items()]
    if parameters.get("_ansible_check_mode"):
        command.append("--check")
    return [*command, "--", *(str(parameters[name]) for name in names)]


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def run(parameters: dict[str, Any]) -> dict[str, Any]:
    """Does it; what Ansible is told."""
    try:
        command = command_of(parameters)
    except Wrong as wrong:
        return {"changed": False, "failed": True, "msg": str(wrong)}
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    found = json.loads(ended.stdout) if ended.stdout.startswith("{") else {"changed": False}
    allowed = [0, WOULD_CHANGE] if parameters.get("_ansible_check_mode") else [0]
    failed = ended.returncode not in allowed
    told = ended.stderr.strip().splitlines()
    said = told[-1] if told else "something was left undone: see failed_steps and conflicts" if failed else "done"
    # "failed" is Ansible's own word.
    found["failed_steps"] = found.pop("failed", [])
    return {**found, "failed": failed, "msg": said}


def main() -> int:
    """Reads the parameters from the file that is named, or from standard input; the exit status."""
    try:
        with open(sys.argv[1] if len(sys.argv) > 1 else 0, encoding="utf-8") as source:
            parameters = json.load(source)
        if not isinstance(parameters, dict):
            raise ValueError("the parameters must be one JSON object")
    except (OSError, ValueError) as error:
        answer: dict[str, Any] = {"changed": False, "failed": True, "msg": str(error)}
    else:
        answer = run(parameters)
    print(json.dumps(answer))
    return 1 if answer["failed"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
