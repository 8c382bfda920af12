"""All of somebody's mail as one zip file, made while it is sent: one mail at a time is in memory.

Knows no web. What vanishes or can't be read meanwhile is left out and named in a text file at the end.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo

from messenger.errors import MessengerError
from messenger.link import reference
from messenger.mailbox import Entry, Mailbox

from .zip_stream import NOT_IN_NAMES, ZipStream, local_time

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Words:
    """What the archive says in the language of the person."""

    inbox: str
    #: The name of the list of what is missing, and its first line.
    missing: str
    missing_intro: str


def archive(mailbox: Mailbox, zone: tzinfo, words: Words, now: float) -> Iterator[bytes]:
    """Yield the zip file piece by piece: a folder for each folder, in it each mail as it came."""
    file = ZipStream(zone)
    missing: list[str] = []
    for folder in mailbox.folders():
        name = _folder_name(folder, words.inbox)
        for entry in sorted(mailbox.list(folder), key=lambda entry: (entry.received, entry.name)):
            path = file.free(f"{name}/{_stem(entry, zone)}", ".eml")
            try:
                raw = mailbox.read(entry.name, folder)
            except MessengerError as error:
                log.warning("%s: not in the export: %s", entry.name, type(error).__name__)
                missing.append(path)
                continue
            yield from file.add(path, raw, entry.received)
    if missing:
        text = "\r\n".join([words.missing_intro, "", *missing, ""])
        yield from file.add(file.free(words.missing, ".txt"), text.encode(), now)
    yield from file.end()


def _folder_name(folder: str, inbox: str) -> str:
    """The path of a folder in the archive. Maildir++ parts a folder from the one above it by a dot."""
    parts = folder.split(".") if folder else [inbox]
    return "/".join(NOT_IN_NAMES.sub("_", part).strip() or "_" for part in parts)


def _stem(entry: Entry, zone: tzinfo) -> str:
    """When it came, and the code that notice and page show: sorted by time, and no word of what is in it."""
    return f"{local_time(entry.received, zone):%Y-%m-%d %H%M} {reference(entry.name)}"
