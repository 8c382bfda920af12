"""Run checks each in a process of its own: one that hangs is killed, one that crashes is a finding, all others go on.

A process, not a thread: a disk that doesn't answer holds a thread for good, and some checks work as another user.
"""

import json
import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ..errors import MessengerError
from .doctor_finding import Check, Finding, Host, Level, denied, fail, skip

SECONDS = 5.0
#: More at once than this would only wait for each other's processor.
AT_ONCE = 8


def run(checks: Sequence[Check], host: Host, seconds: float = SECONDS) -> Iterator[list[Finding]]:
    """Yield what each check finds, in their order; none takes longer than *seconds*."""
    waiting, working = list(enumerate(checks)), dict[int, _Working]()
    found: dict[int, list[Finding]] = {}
    told = 0
    while told < len(checks):
        while waiting and len(working) < AT_ONCE:
            number, check = waiting.pop(0)
            working[number] = _begin(check, host, seconds)
        done = _wait(list(working.values()))
        for number in [number for number, one in working.items() if one in done or time.monotonic() >= one.end]:
            found[number] = _finished(working.pop(number), seconds)
        while told in found:
            yield found.pop(told)
            told += 1


def answer(call: Callable[[], str], seconds: float) -> str:
    """Return what *call* says in a process of its own, which it may change as it likes: its user, its root."""
    look = Check("apart", lambda _: [fail("apart", call())])
    one = _start(look, None, seconds)
    while time.monotonic() < one.end and one not in _wait([one]):
        pass
    return _finished(one, seconds)[0].text


@dataclass(eq=False)
class _Working:
    check: Check
    process: int
    pipe: int
    end: float
    said: bytes = b""


def _begin(check: Check, host: Host, seconds: float) -> _Working:
    return _start(check, host, seconds)


def _start(check: Check, host: Host | None, seconds: float) -> _Working:
    pipe, into = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            os.setsid()  # with whatever it starts it can be killed at once
            _to_nowhere(into)
            with os.fdopen(into, "wb") as file:
                file.write(json.dumps([_plain(one) for one in _looked(check, host)]).encode())
        finally:
            os._exit(0)
    os.close(into)
    return _Working(check, process, pipe, time.monotonic() + seconds)


def _to_nowhere(into: int) -> None:
    """What libraries and programs say belongs to no finding."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in {0, 1, 2} - {into}:
        os.dup2(nowhere, descriptor)


def _looked(check: Check, host: Host | None) -> list[Finding]:
    try:
        return list(check.look(host))  # type: ignore[arg-type]  # only ``answer`` has none, and asks for none
    except (MessengerError, OSError) as error:
        if denied(error):
            return [skip(check.name, f"{error}: this user may not look; run it as root")]
        if isinstance(error, MessengerError):
            return [fail(check.name, str(error))]
        return [fail(check.name, f"{f'{error.filename}: ' if error.filename else ''}{error.strerror or error}")]
    except Exception as error:
        return [fail(check.name, f"this check broke: {type(error).__name__}: {error}; tell us, and look by hand")]


def _wait(working: Sequence[_Working]) -> list[_Working]:
    """Wait for one of them to say something; return those that are through."""
    left = max(0.0, min(one.end for one in working) - time.monotonic())
    ready, _, _ = select.select([one.pipe for one in working], [], [], left)
    done = []
    for one in working:
        if one.pipe in ready:
            piece = os.read(one.pipe, 2**16)
            one.said += piece
            if not piece:
                done.append(one)
    return done


def _finished(one: _Working, seconds: float) -> list[Finding]:
    os.close(one.pipe)
    with suppress(ProcessLookupError):
        os.kill(one.process, signal.SIGKILL)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(one.process, signal.SIGKILL)
    with suppress(ChildProcessError):
        # Never waited for: one that hangs in the kernel dies when the disk comes back.
        os.waitpid(one.process, os.WNOHANG)
    if one.said:
        with suppress(ValueError):
            return [Finding(check, Level(level), text, mend) for check, level, text, mend in json.loads(one.said)]
    text = f"no answer within {seconds:g} seconds" if time.monotonic() >= one.end else "this check's process died"
    return [Finding(one.check.name, one.check.late, f"{text}; look by hand: a disk or a service may hang")]


def _plain(one: Finding) -> tuple[str, str, str, str]:
    return one.check, one.level.value, one.text, one.mend
