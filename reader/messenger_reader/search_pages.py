"""The page that searches all mail of whoever is logged in.

What is typed is answered, whatever it is: with hits, with what to try, and with what was not understood. What is
found is a mail's, and so hostile; it is drawn escaped, the marks around hits are ours.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, time
from typing import NamedTuple

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from . import word_forms
from .access import this_page
from .folder_names import folder_name
from .index_contents import Card, Progress, first_id
from .index_file import CacheUnusable
from .index_search import Found, Wanted
from .language import gettext as _
from .language import time_zone
from .list_pages import told
from .mails import ARCHIVE, DRAFTS, INBOX, SENT, TRASH, FolderCount
from .own_mails import mails
from .own_searching import searching
from .search_query import CHARACTERS, Hint, Query, parse
from .word_forms import Piece

pages = Blueprint("search", __name__)

PAGE = 50
#: How long a page may look into mail before it searches, and how long it may search.
LOOK_SECONDS, SEARCH_SECONDS = 0.3, 1.0
CURSOR = re.compile(r"\d{1,18}", re.ASCII)
#: What folders are called in either language, whatever the page's is.
_FOLDERS = {
    "inbox": INBOX, "posteingang": INBOX, "eingang": INBOX, "sent": SENT, "gesendet": SENT,
    "drafts": DRAFTS, "draft": DRAFTS, "entwürfe": DRAFTS, "entwuerfe": DRAFTS, "entwurf": DRAFTS,
    "archive": ARCHIVE, "archiv": ARCHIVE, "trash": TRASH, "bin": TRASH, "papierkorb": TRASH,
}  # fmt: skip


class Hit(NamedTuple):
    """A mail that was found, with what was looked for marked in it."""

    card: Card
    subject: tuple[Piece, ...]
    snippet: tuple[Piece, ...]


@pages.get("/search")
def search() -> ResponseReturnValue:
    typed = request.args.get("q", "").strip()[: CHARACTERS + 1]
    older = request.args.get("older", "")
    query = parse(typed)
    folders = mails().folders()  # brings the lists up to date, too
    wanted, hints = _wanted(query, folders)
    if CURSOR.fullmatch(older):
        wanted = replace(wanted, high=min(wanted.high, int(older)))
    found, progress = (None, None) if query.empty else _search(wanted)
    hits = word_forms.pattern(query.needed)
    return render_template(
        "search.html",
        typed=typed[:CHARACTERS],
        asked=not query.empty,
        found=found,
        hits=[_hit(*one, hits) for one in zip(found.cards, found.texts, strict=True)] if found else [],
        progress=progress,
        later=bool(older),
        hints=[words(hint) for hint in (*query.hints, *hints)],
        folders=folders,
        folder=None,
        here=this_page(),
        **told(),
    )


def _search(wanted: Wanted) -> tuple[Found | None, Progress | None]:
    """What is found, and how much of the mail can be by now; neither where the cache can't be used."""
    own = searching()
    try:
        found, progress = own.search(wanted, PAGE, SEARCH_SECONDS)
        if progress.done < progress.total:
            own.look_into(LOOK_SECONDS)
            found, progress = own.search(wanted, PAGE, SEARCH_SECONDS)
    except CacheUnusable:
        return None, None
    return found, progress


def _hit(card: Card, text: str, hits: re.Pattern[str] | None) -> Hit:
    """With a line of the text, or of the names of files where only those hold what was looked for."""
    files = card.files.replace("\n", ", ")
    source = files if hits and not hits.search(word_forms.folded(text)) and _holds(files, hits) else text
    return Hit(card, word_forms.marked(card.subject, hits), word_forms.snippet(source, hits))


def _holds(text: str, hits: re.Pattern[str]) -> bool:
    return hits.search(word_forms.folded(text)) is not None


def _wanted(query: Query, folders: list[FolderCount]) -> tuple[Wanted, list[Hint]]:
    """The query with its folders and days looked up, and hints for folders that there aren't."""
    hints = []
    wanted = Wanted(query.needed, query.excluded, query.attachment, query.unread, query.starred)
    if query.before:
        wanted = replace(wanted, high=first_id(_midnight(query.before)))
    if query.after:
        wanted = replace(wanted, low=first_id(_midnight(query.after)))
    for given in filter(None, (query.folder, *query.not_in)):
        folder = _folder(given, folders)
        if folder is None:
            hints.append(Hint("unknown-folder", given))
        elif given == query.folder:
            wanted = replace(wanted, folder=folder)
        else:
            wanted = replace(wanted, not_in=(*wanted.not_in, folder))
    return wanted, hints


def _midnight(day: date) -> int:
    """When *day* begins where the reader is."""
    return int(datetime.combine(day, time(), time_zone()).timestamp())


def _folder(given: str, folders: list[FolderCount]) -> str | None:
    """The folder that is called *given*, in lower case; the usual ones in either language."""
    if given in _FOLDERS:
        return _FOLDERS[given]
    for one in folders:
        if given in (one.folder.lower(), folder_name(one.folder).lower()):
            return one.folder
    return None


def words(hint: Hint) -> str:
    """*hint* for people."""
    given = {"given": hint.given, "better": hint.better}
    return {
        "unknown-operator": _("“%(given)s” was searched for as a word. Did you mean “%(better)s”?"),
        "no-value": _("Something is missing behind “%(given)s”. Example: from:anna"),
        "bad-date": _("“%(given)s” has no date that there is. Example: before:2026-03-31"),
        "bad-has": _("“%(given)s” was not understood. There is: has:attachment"),
        "bad-is": _("“%(given)s” was not understood. There are: is:unread, is:read, is:starred"),
        "unknown-folder": _("There is no folder “%(given)s”, so all folders were searched. Example: in:archive"),
        "open-quote": _('The quotation mark was not closed. Example: "annual report"'),
        "no-words": _("“%(given)s” has no letters and digits in it, and was left out."),
        "too-long": _("That was very long. Only the beginning was searched for."),
        "no-time": _("No day is after the one and before the other. Example: after:2026-01-01 before:2026-03-31"),
    }[hint.kind] % given


@pages.app_template_global()
def examples() -> Iterator[tuple[str, str]]:
    """What can be typed, and what it finds."""
    yield _("invoice"), _("invoice and invoices, anywhere in a message")
    yield _('"annual report"'), _("these words, one behind the other")
    yield _("from:anna"), _("what Anna has sent; to: and subject: work the same way")
    yield _("-draft"), _("what doesn’t hold this word")
    yield _("has:attachment"), _("what has files with it")
    yield _("is:unread"), _("what you have not read; is:starred for what has a star")
    yield _("after:2026-01-01"), _("from that day on; before: for earlier ones")
    yield _("in:archive"), _("only in this folder")
