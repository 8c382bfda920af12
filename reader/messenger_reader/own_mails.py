"""The door to the mail of whoever is logged in. There is no way to anybody else's: no address comes from a request."""

from contextlib import ExitStack

from flask import Flask, g

from messenger.mailbox import mailbox_of

from . import index, index_file
from .context import context
from .done import Notes
from .mails import Mails


def install(app: Flask) -> None:
    """Let each page of *app* open the index of somebody's mail once."""

    @app.before_request
    def begin() -> None:
        g.opened = ExitStack()
        g.opened.enter_context(index_file.kept_open())

    @app.teardown_request
    def end(_error: BaseException | None) -> None:
        if opened := g.pop("opened", None):
            opened.close()


def mails() -> Mails:
    """The mail of the person of this request."""
    own, address = context(), g.account.address
    return Mails(mailbox_of(own.config.mail.root, address), own.config.reader.cache, address, own.clock)


def notes() -> Notes:
    """What the person of this request did last."""
    own = context()
    return Notes(index.path_of(own.config.reader.cache, g.account.address), own.clock)
