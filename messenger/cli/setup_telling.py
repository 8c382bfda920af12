"""What a run of setup tells: to a person as it happens, or to a script as one object at its end. Decides nothing."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import click

from .options import echo_json


@dataclass
class Telling:
    """Hears what was done and what is to be known."""

    #: For a script: nothing is said before the end.
    as_json: bool = False
    done: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    #: What Postfix still needs, as lines for a shell.
    postfix: list[str] = field(default_factory=list)

    def did(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.done.append(line)
            self.say(line)

    def note(self, text: str) -> None:
        self.notes.append(text)
        self.say(f"note: {text}")

    def say(self, text: str) -> None:
        """For a person alone."""
        if not self.as_json:
            click.echo(text)

    def begin(self, **about: Any) -> None:
        """From now on the object is printed at the command's end, *about* first, also where it fails."""
        if self.as_json:
            click.get_current_context().call_on_close(lambda: echo_json({**about, **self._heard()}))

    def _heard(self) -> dict[str, list[str]]:
        return {"done": self.done, "notes": self.notes, "postfix": self.postfix}
