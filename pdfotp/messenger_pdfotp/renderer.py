"""Have HTML made into a PDF by a process that is shut in (render_worker.py), and never wait for it for ever.

Knows nothing of mail: a document and a style sheet in, bytes out, or a RenderError.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from messenger.child_process import FRAME, Child, ChildError
from messenger.errors import MessengerError

from . import render_worker

log = logging.getLogger(__name__)

#: A child has 20 s of CPU; on a busy machine that may take longer by the clock.
WALL_SECONDS = 90.0
PATH = (Path(__file__).parents[1], Path(__file__).parents[2])


class RenderError(MessengerError):
    """The document can't be laid out within the limits, or at all."""


class Stopped(MessengerError):
    """The service is told to stop: whoever comes next lays the document out."""

    temporary = True


@dataclass(frozen=True)
class Rendered:
    content: bytes
    pages: int
    #: What the kernel couldn't keep from the renderer, in words.
    unconfined: tuple[str, ...] = ()


class Renderer:
    """One process, started when it is first needed and replaced when it fails. For one thread."""

    def __init__(self, wall_seconds: float = WALL_SECONDS, begun: Callable[[], object] = lambda: None) -> None:
        """*begun* is called before each document: who watches the service may wait so long again."""
        self._wall_seconds = wall_seconds
        self._begun = begun
        self._child: Child | None = None
        self._stopped = False

    def start(self) -> None:
        """Start the process now rather than for the first document."""
        if self._child is None or self._child.process.poll() is not None:
            self.close()
            self._child = Child(render_worker.__name__, PATH)

    def render(self, html: str, css: str, identifier: str) -> Rendered:
        """Return the PDF; *identifier* (hex) makes the same document the same PDF. Raises RenderError, Stopped."""
        self._begun()
        self.start()
        assert self._child is not None
        self._unless_stopped()
        head = json.dumps({"html": html, "css": css, "id": identifier}).encode("ascii")
        deadline = time.monotonic() + self._wall_seconds
        try:
            answer, content = self._child.ask(FRAME.pack(len(head), 0) + head, deadline, render_worker.OUTPUT)
            about = json.loads(answer)
        except (ChildError, OSError, ValueError) as error:
            self.close()
            self._unless_stopped()
            raise RenderError(f"no PDF came within {self._wall_seconds:.0f} seconds: {error}") from error
        except BaseException:
            self.close()  # an answer may come yet, and must not be taken for that of the next mail
            raise
        if "ended" in about:
            self._unless_stopped()
            raise RenderError(_reason(about["ended"]))
        return Rendered(content, about["pages"], tuple(about["unconfined"]))

    def stop(self) -> None:
        """End what is being laid out, from a signal handler, too; from now on all ends with Stopped."""
        self._stopped = True
        # Not yet waited for, so the number is still its own.
        if self._child is not None and self._child.process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._child.process.pid, signal.SIGKILL)

    def _unless_stopped(self) -> None:
        if self._stopped:
            raise Stopped("the service stops; the PDF is made after its next start")

    def close(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


def _reason(code: int) -> str:
    if code == -signal.SIGXCPU:
        return f"it takes more than {render_worker.CPU_SECONDS} seconds to lay out"
    if code in (render_worker.ENDED_MEMORY, -signal.SIGKILL):
        return f"it takes more than {render_worker.MEMORY // 2**20} MB to lay out"
    if code == render_worker.ENDED_SIZE:
        return f"it becomes larger than {render_worker.OUTPUT // 2**20} MB"
    return f"the renderer ended with {code}"
