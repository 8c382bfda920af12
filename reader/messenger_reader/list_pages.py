"""The pages that list mail: the inbox and every other folder.

What is in a mail is hostile, and so is what a folder is called. It is drawn escaped.
"""

import re
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from .index import Cursor
from .mails import INBOX
from .own_mails import mails

#: Of all pages of mail; other modules put theirs on it too.
pages = Blueprint("mail", __name__)

CURSOR = re.compile(r"(\d{1,18})-(.+)", re.ASCII)


@pages.get("/")
def inbox() -> ResponseReturnValue:
    return _list(INBOX)


@pages.get("/folder/<folder>")
def folder(folder: str) -> ResponseReturnValue:
    if not mails().has_folder(folder):
        abort(404)
    return _list(folder)


def list_url(folder: str, **query: Any) -> str:
    """The address of a folder's list."""
    return url_for("mail.folder", folder=folder, **query) if folder else url_for("mail.inbox", **query)


def back_to_list(folder: str) -> ResponseReturnValue:
    return redirect(list_url(folder), 303)


def _list(folder: str) -> ResponseReturnValue:
    rows = mails().page(folder, older=_cursor("older"), newer=_cursor("newer"))
    return render_template("inbox.html", rows=rows, cursor=_cursor_text)


def _cursor(which: str) -> Cursor | None:
    found = CURSOR.fullmatch(request.args.get(which, ""))
    return Cursor(int(found[1]), found[2]) if found else None


def _cursor_text(cursor: Cursor) -> str:
    return f"{cursor.received}-{cursor.name}"
