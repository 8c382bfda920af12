"""Delete my account: everything goes, in an order in which a crash at any point can be followed by another try.

Mail first, the account last: as long as something is left, there is somebody who can log in and ask again.
"""

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from messenger import cache_folder, preferences
from messenger.mailbox import mailbox_of

from . import access, entry
from .context import context
from .language import gettext as _

pages = Blueprint("delete", __name__)


@pages.get("/account/delete")
def form() -> ResponseReturnValue:
    return _page()


@pages.post("/account/delete")
def delete() -> ResponseReturnValue:
    if not request.form.get("sure"):
        return _page(sure=entry.Problem(_("Please tick this, so that nothing is deleted by mistake."), 422))
    if problem := entry.password_problem():
        return _page(password=problem)
    own, account = context(), g.account
    mailbox = mailbox_of(own.config.mail.root, account.address)
    # It goes with the mail, and the letter repeats it.
    phrase = preferences.read(mailbox.root.parent).phrase
    mailbox.delete()
    cache_folder.remove(own.config.reader.cache, account.address)
    own.accounts.delete(account.id, entry.client(), own.now())
    own.letters.send("deleted", account, phrase=phrase)
    response = make_response(redirect(url_for(".goodbye"), 303))
    access.drop(response)
    return response


@pages.get("/goodbye")
def goodbye() -> ResponseReturnValue:
    return render_template("goodbye.html")


def _page(**problems: entry.Problem) -> Response:
    html = render_template(
        "delete.html",
        errors={field: problem.words for field, problem in problems.items()},
        sure=bool(request.form.get("sure")),
    )
    for problem in problems.values():
        return problem.answer(html)
    return make_response(html)
