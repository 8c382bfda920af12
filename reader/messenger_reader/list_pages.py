"""The pages that list mail: the inbox and every other folder.

What is in a mail is hostile, and so is what a folder is called. It is drawn escaped.
"""

import re
from typing import Any

from flask import Blueprint, abort, render_template, request, url_for
from flask.typing import ResponseReturnValue

from .access import this_page
from .done import MOVED, PICKED
from .done_words import said
from .folder_names import folder_name
from .index import Cursor
from .mails import INBOX
from .own_mails import mails, notes

#: Of all pages of mail; other modules put theirs on it too.
pages = Blueprint("mail", __name__)

pages.add_app_template_filter(folder_name, "folder_name")

CURSOR = re.compile(r"(\d{1,18})-(.+)", re.ASCII)


@pages.get("/")
def inbox() -> ResponseReturnValue:
    return _list(INBOX)


@pages.get("/folder/<folder>")
def folder(folder: str) -> ResponseReturnValue:
    if not mails().has_folder(folder):
        abort(404)
    return _list(folder)


@pages.app_template_global()
def list_url(folder: str, **query: Any) -> str:
    """The address of a folder's list."""
    return url_for("mail.folder", folder=folder, **query) if folder else url_for("mail.inbox", **query)


def _list(folder: str) -> ResponseReturnValue:
    own = mails()
    turned = {which: request.args[which] for which in ("older", "newer") if which in request.args}
    rows = own.page(folder, older=_cursor("older"), newer=_cursor("newer"))
    return render_template(
        "inbox.html",
        folder=folder,
        folders=own.folders(),
        rows=rows,
        cursor=_cursor_text,
        selected="all" in request.args,
        select_url=list_url(folder, **turned, **({} if "all" in request.args else {"all": 1})),
        here=this_page(),
        **told(),
    )


def told() -> dict[str, Any]:
    """What a page says of what was done on the one before, the token that undoes it, and what is still selected."""
    token = request.args.get("done", "")
    done = notes().find(token) if token else None
    if done is None:
        return {"said": "", "undo": "", "picked": frozenset()}
    if done.kind == PICKED:
        return {"said": "", "undo": "", "picked": {name for names in done.names.values() for name in names}}
    undo = token if done.kind == MOVED and done.count else ""
    return {"said": said(done), "undo": undo, "picked": frozenset()}


def _cursor(which: str) -> Cursor | None:
    found = CURSOR.fullmatch(request.args.get(which, ""))
    return Cursor(int(found[1]), found[2]) if found else None


def _cursor_text(cursor: Cursor) -> str:
    return f"{cursor.received}-{cursor.name}"
