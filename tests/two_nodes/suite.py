"""Cases, verdicts and totals of this suite.

A case is a function marked with `@case`; it passes by returning, fails by `expect` (or any exception), and says why it
cannot run here by raising `Skip`. A place is where cases run: "host", "uml" or "qemu" (see `run`).
"""

import os
import sys
import time
import traceback


class Skip(Exception):
    """The reason why a case cannot run here."""


class Fault(Exception):
    """What was found, and what should be."""


CASES = []


def case(name, *places):
    """Registers a function as a case of these places."""

    def register(function):
        CASES.append((name, places, function))
        return function

    return register


def expect(found, wanted, what):
    """Fails the case unless both are equal."""
    if found != wanted:
        raise Fault(f"{what}:\nfound  {shown(found)}\nwanted {shown(wanted)}")


def expect_true(holds, what):
    """Fails the case unless the condition holds."""
    if not holds:
        raise Fault(what)


def shown(value):
    """Lists and dictionaries one entry a line, so that a difference can be seen."""
    if isinstance(value, dict):
        value = [f"{key}: {entry}" for key, entry in value.items()]
    if isinstance(value, (list, tuple)) and len(value) > 1:
        return "".join(f"\n    {entry}" for entry in value)
    return repr(value)


class Totals:
    """Counts verdicts and prints a line for each."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def run(self, place, name, function):
        """Runs one case."""
        start = time.monotonic()
        try:
            function()
        except Skip as reason:
            self.skip(place, name, reason)
        except Exception as fault:  # noqa: BLE001  (whatever it is, the case has failed)
            self.failed += 1
            say(f"FAILED  {place}: {name}")
            text = str(fault) if isinstance(fault, Fault) else traceback.format_exc()
            say("\n".join(f"        {line}" for line in text.rstrip().splitlines()))
        else:
            self.passed += 1
            say(f"ok      {place}: {name} ({time.monotonic() - start:.1f} s)")

    def skip(self, place, name, reason):
        """One case that did not run; where every case must, that is a failure."""
        if os.environ.get("CI") == "true":
            self.failed += 1
            say(f"FAILED  {place}: {name}\n        under CI=true every case must run; {reason}")
        else:
            self.skipped += 1
            say(f"skipped: {place}: {name}: {reason}")

    def add(self, line):
        """Adds the totals line of another run of this suite; False if it is none."""
        words = line.replace(",", "").split()
        if len(words) != 6 or words[1::2] != ["passed", "failed", "skipped"]:
            return False
        self.passed += int(words[0])
        self.failed += int(words[2])
        self.skipped += int(words[4])
        return True

    def line(self):
        """The totals, as tests/run reads them."""
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def say(text):
    """Prints at once: several processes write into one log."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
