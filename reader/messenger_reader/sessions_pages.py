"""Where somebody is logged in: a list, and log-outs from afar. Also, on every page, when this log-in ends.

A log-out from afar wants the password: whoever found a browser open could shut the owner out elsewhere.
"""

import re

from flask import Blueprint, Response, current_app, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from messenger.accounts import FULL, Session

from . import access, entry
from .browser_words import device
from .context import context
from .language import gettext as _
from .language import ngettext

pages = Blueprint("sessions", __name__)

#: How many were ended, as we write it into an address; anything else there is not ours.
ENDED = re.compile(r"\d{1,4}", re.ASCII)


@pages.get("/account/sessions")
def overview() -> ResponseReturnValue:
    own = context()
    return render_template(
        "sessions.html",
        sessions=sorted(own.accounts.sessions(g.account.id, own.now()), key=lambda one: one.id != g.session.id),
        note=_note(),
        name_of=_name_of,
        full=FULL,
    )


@pages.post("/account/sessions/end")
def end() -> ResponseReturnValue:
    own = context()
    wanted = request.form.get("session", "")
    one = next((one for one in own.accounts.sessions(g.account.id, own.now()) if one.id == wanted), None)
    if one and (page := _password_page(one)):
        return page
    ended = own.accounts.end_one(g.account.id, wanted, entry.client(), own.now())
    return redirect(url_for(".overview", ended=int(ended)), 303)


@pages.post("/account/sessions/end-others")
def end_others() -> ResponseReturnValue:
    if page := _password_page():
        return page
    own = context()
    token = request.cookies.get(access.COOKIE, "")
    ended = own.accounts.end_all(g.account.id, entry.client(), own.now(), except_token=token)
    return redirect(url_for(".overview", ended=ended), 303)


@pages.get("/stay")
def stay() -> ResponseReturnValue:
    """Back to where somebody was. That they came here is what keeps them logged in."""
    return redirect(entry.our_path(request.args.get("next", "")) or url_for("mail.inbox"), 303)


@pages.app_context_processor
def _expiry() -> dict[str, str]:
    if g.get("account") is None:
        return {}
    return {"stay": url_for("sessions.stay", next=_here())}


def _here() -> str | None:
    """The page that is shown, if it can be asked for again; one that answers a form is the form's page."""
    adapter = current_app.create_url_adapter(request)
    if request.method == "GET" and request.url_rule:
        return access.this_page()
    return request.path if adapter and "GET" in adapter.allowed_methods() else None


def _password_page(one: Session | None = None) -> Response | None:
    """The page that asks for the password before *one*, or all others, are ended; None once it is given."""
    problem = entry.password_problem() if "password" in request.form else entry.Problem("", 200)
    if problem is None:
        return None
    return problem.answer(render_template("end_session.html", one=one, name_of=_name_of, error=problem.words))


def _note() -> str:
    ended = request.args.get("ended", "")
    if not ENDED.fullmatch(ended):
        return ""
    if int(ended) == 0:
        return _("That log-in was over already.")
    return ngettext("One log-in is ended.", "%(num)s log-ins are ended.", int(ended)) % {"num": int(ended)}


def _name_of(session: Session) -> str:
    browser, system = device(session.agent)
    if browser and system:
        return _("%(browser)s on %(system)s") % {"browser": browser, "system": system}
    return browser or system or _("A browser that we don’t know")
