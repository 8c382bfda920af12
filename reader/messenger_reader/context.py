"""What a page may ask for: the settings, the accounts, the link key, the time, the way to write to people.

Made once by ``create_app``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Flask, current_app

from messenger.accounts import Accounts

from .letters import Letters
from .post import Post
from .receipts import Receipts

if TYPE_CHECKING:
    from messenger.config import Config

_KEY = "messenger"


@dataclass(frozen=True)
class Context:
    config: Config
    accounts: Accounts
    link_key: bytes
    clock: Callable[[], float]
    letters: Letters
    post: Post
    receipts: Receipts

    def now(self) -> int:
        """Unix seconds."""
        return int(self.clock())


def install(app: Flask, context: Context) -> None:
    app.extensions[_KEY] = context


def context() -> Context:
    """The running portal's."""
    return of(current_app)


def of(app: Flask) -> Context:
    found = app.extensions[_KEY]
    assert isinstance(found, Context)
    return found
