"""Mark mail as read where a person reads it, and only there."""

import logging

from flask import request

from messenger.errors import MessengerError

from .own_mails import mails

log = logging.getLogger(__name__)


def is_read_by_a_person() -> bool:
    """Not a browser that fetches a page in case somebody asks for it, nor a program that asks for its headers."""
    ahead = (
        request.headers.get("Sec-Purpose", "") + request.headers.get("Purpose", "") + request.headers.get("X-Moz", "")
    )
    return request.method == "GET" and "prefetch" not in ahead and "preview" not in ahead


def mark_as_read(name: str) -> None:
    try:
        mails().flag(name, add="S")
    except MessengerError as error:  # a full or read-only disk: it is read all the same
        log.warning("%s: not marked as read: %s", name, type(error).__name__)
