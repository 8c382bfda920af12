"""What can be done to mails: to those that are selected in a list, or to the one that is open.

Every form names the folder it was drawn for, the mails, and the page to come back to. Each act is a POST that leads
back there (303); what couldn't be done because a mail has gone meanwhile is said, never an error.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from messenger.accounts import DONE
from messenger.link import reference

from . import done as kinds
from . import entry
from .context import context
from .done import Done
from .list_pages import list_url
from .mails import ARCHIVE, INBOX, TRASH
from .opened import NAME
from .own_mails import mails, notes

pages = Blueprint("acts", __name__)

#: Of a list page there are fifty; a form that names more was made by hand.
MOST = 500
#: A page's address longer than this is not one of ours: servers take 4,094 bytes in all.
BACK_CHARACTERS = 2000
#: One line of the audit has room for as many codes.
CODES = 15

FLAGS = {
    "read": (kinds.READ, "S", ""),
    "unread": (kinds.UNREAD, "", "S"),
    "star": (kinds.STARRED, "F", ""),
    "unstar": (kinds.UNSTARRED, "", "F"),
}
STARS = ("star", "unstar")


@pages.post("/act")
def act() -> ResponseReturnValue:
    """The field "do" says what, "folder" and "name" to what. A button "star" or "unstar" is for one mail alone."""
    do = request.form.get("do", "")
    names = request.form.getlist("name")
    for one in STARS:
        if one in request.form:
            do, names = one, [request.form[one]]
    names = [name for name in dict.fromkeys(names[:MOST]) if NAME.fullmatch(name)]
    back = _back("back") or list_url(request.form.get("folder", INBOX))
    by_folder = mails().by_folder(names, request.form.get("folder"))
    if do == "nothing":
        return _return_to(back, notes().keep(Done(kinds.PICKED, by_folder)))
    if do == "delete" and list(by_folder) == [TRASH]:
        return _ask(Done(kinds.ASKED, by_folder, gone=len(names) - len(by_folder[TRASH]), back=back))
    done = _done(do, by_folder, len(names), back)
    if starred := request.form.get(do) if do in STARS and done.count else None:
        # Back to the very row; the star itself says it.
        return _return_to(_back("here") or back, "", f"m-{starred}")
    return _return_to(back, notes().keep(done))


@pages.post("/undo")
def undo() -> ResponseReturnValue:
    """Move back what was moved: the field "token" says which time."""
    moved = notes().take(request.form.get("token", ""))
    if moved is None or moved.kind != kinds.MOVED:
        return redirect(list_url(INBOX), 303)
    back = sum(mails().move(names, folder, moved.to) for folder, names in moved.names.items())
    done = Done(kinds.BACK, gone=moved.count - back, uncounted=back)
    return _return_to(moved.back, notes().keep(done))


@pages.get("/remove/<token>")
def removal(token: str) -> ResponseReturnValue:
    asked = notes().find(token)
    if asked is None or asked.kind != kinds.ASKED:
        return redirect(list_url(TRASH), 303)
    return render_template("remove.html", count=asked.count, back=asked.back, token=token, everything=False)


@pages.post("/remove/<token>")
def remove(token: str) -> ResponseReturnValue:
    asked = notes().take(token)
    if asked is None or asked.kind != kinds.ASKED:
        return redirect(list_url(TRASH), 303)
    gone = {folder: mails().removed(names, folder) for folder, names in asked.names.items()}
    names = [name for those in gone.values() for name in those]
    _audit_deletion(names, "for good")
    done = Done(kinds.REMOVED, gone=asked.gone + asked.count - len(names), uncounted=len(names))
    return _return_to(asked.back, notes().keep(done))


@pages.get("/empty-trash")
def emptying() -> ResponseReturnValue:
    count = mails().page(TRASH).total
    return render_template("remove.html", count=count, back=list_url(TRASH), token="", everything=True)


@pages.post("/empty-trash")
def empty() -> ResponseReturnValue:
    """The field "count" says how many the person was asked about; should there be more, they are asked again."""
    count = mails().page(TRASH).total
    if not count or str(count) != request.form.get("count"):
        return redirect(url_for(".emptying") if count else list_url(TRASH), 303)
    removed = mails().empty(TRASH)
    own = context()
    own.accounts.audit("delete", DONE, g.account.id, entry.client(), own.now(), f"{removed} out of {TRASH} for good")
    return _return_to(list_url(TRASH), notes().keep(Done(kinds.REMOVED, uncounted=removed)))


def _done(do: str, by_folder: dict[str, list[str]], asked: int, back: str) -> Done:
    if do in FLAGS:
        kind, add, remove = FLAGS[do]
        reached = {folder: mails().flagged(names, add, remove, folder) for folder, names in by_folder.items()}
        return _counted(Done(kind, reached), asked)
    to = _target(do)
    moved = {folder: mails().moved(names, to, folder) for folder, names in by_folder.items()}
    if to == TRASH:
        _audit_deletion([name for folder, names in moved.items() for name in names if folder != to], TRASH)
    return _counted(Done(kinds.MOVED, moved, to, back=back), asked)


def _target(do: str) -> str:
    """The folder that mails are moved to."""
    targets: Mapping[str, Callable[[], str]] = {
        "archive": lambda: ARCHIVE,
        "delete": lambda: TRASH,
        "inbox": lambda: INBOX,
        "move": lambda: request.form.get("to", TRASH),
    }
    to = targets[do]() if do in targets else abort(400)
    if not mails().has_folder(to):
        abort(404)
    return to


def _counted(done: Done, asked: int) -> Done:
    return replace(done, gone=asked - done.count)


def _back(field: str) -> str:
    """A page to come back to, if the form names one of ours."""
    return entry.our_path(request.form.get(field, "")[:BACK_CHARACTERS])


def _ask(asked: Done) -> ResponseReturnValue:
    token = notes().keep(asked)
    # Without a place to keep the question nothing is deleted for good.
    return redirect(url_for(".removal", token=token), 303) if token else abort(503)


def _return_to(back: str, token: str, row: str = "") -> ResponseReturnValue:
    """To the page *back*, which says what *token* stands for; to one *row* of it, if that is given."""
    parts = urlsplit(back)
    kept = [(key, value) for key, value in parse_qsl(parts.query) if key not in ("done", "all")]
    query = urlencode([*kept, ("done", token)] if token else kept)
    place = f"#{quote(row)}" if row else ""
    return redirect(parts.path + (f"?{query}" if query else "") + place, 303)


def _audit_deletion(names: list[str], how: str) -> None:
    """Write down what was deleted, by the codes of the mails, and whether it can be had back."""
    own = context()
    for at in range(0, len(names), CODES):
        codes = " ".join(reference(name) for name in names[at : at + CODES])
        own.accounts.audit("delete", DONE, g.account.id, entry.client(), own.now(), f"{codes} {how}")
