"""What tests of `messenger account` share: who acts on whom, and what the trail says of it."""

import json
import os
import time

# The audit and the commands go by the clock of the machine.
TODAY = int(time.time())


def events(desk, *words):
    return [(line["event"], line["client"]) for line in map(json.loads, desk.audit("--json", *words).out.splitlines())]


def by():
    return f"admin:{os.environ.get('SUDO_USER') or 'root' if os.getuid() == 0 else os.environ.get('USER')}"
