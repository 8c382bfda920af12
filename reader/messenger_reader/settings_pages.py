"""My account: language, time zone, how notices come and what they repeat; the mail of all folders as one file.

What pages are shown in lies with the accounts; what notices follow lies beside the mail, where the milter can read it.
"""

import logging
from dataclasses import replace
from datetime import datetime

from babel import Locale
from flask import (
    Blueprint,
    Response,
    g,
    make_response,
    redirect,
    render_template,
    request,
    stream_with_context,
    url_for,
)
from flask.typing import ResponseReturnValue

from messenger import preferences
from messenger.accounts import DONE
from messenger.mailbox import Mailbox, MailboxError, Usage, mailbox_of
from messenger.preferences import NOTICES, PHRASE_CHARACTERS, Preferences
from messenger.visible import line

from . import entry, language, time_zones
from .context import context
from .export import Words, archive
from .language import gettext as _

log = logging.getLogger(__name__)

pages = Blueprint("settings", __name__)


@pages.get("/account")
def form() -> ResponseReturnValue:
    return _page(preferences.read(_mailbox().root.parent), saved="saved" in request.args)


@pages.post("/account")
def save() -> ResponseReturnValue:
    own, account, mailbox = context(), g.account, _mailbox()
    folder = mailbox.root.parent
    chosen, problems = _chosen(preferences.read(folder))
    if problems:
        return _page(chosen, problems=problems)
    mailbox.ensure()
    # Upon what is there by then: what the form doesn't know, others may have changed.
    preferences.change(folder, lambda before: _chosen(before)[0])
    own.accounts.settle(account.id, language=chosen.language, time_zone=chosen.time_zone)
    own.accounts.audit("settings changed", DONE, account.id, entry.client(), own.now())
    return redirect(url_for(".form", saved=""), 303)


@pages.get("/account/export")
def export() -> ResponseReturnValue:
    """All mail as a zip file. A GET: it changes nothing, and no other site's page comes here with our cookie."""
    own = context()
    words = Words(
        inbox=_("Inbox"),
        missing=_("Not included"),
        missing_intro=_("These messages vanished or could not be read while the file was made:"),
    )
    zone = language.time_zone()
    pieces = archive(_mailbox(), zone, words, own.now())
    if request.method == "GET":  # of a HEAD, nothing leaves the house
        own.accounts.audit("export", DONE, g.account.id, entry.client(), own.now())
    response = Response(stream_with_context(pieces), mimetype="application/zip")
    name = f"messages {datetime.fromtimestamp(own.now(), zone):%Y-%m-%d}.zip"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


@pages.app_template_global()
def usage() -> Usage | None:
    """How full the mailbox of whoever is logged in is; None where there is no quota, or nobody can tell just now."""
    own = context()
    if not own.config.mail.quota:
        return None
    try:
        return _mailbox().usage(own.config.mail.quota, own.clock())
    except MailboxError as error:
        log.warning("the room in a mailbox is not shown: %s", error)
        return None


def _chosen(before: Preferences) -> tuple[Preferences, dict[str, str]]:
    """What the form says, or what was before where it says something that can't be; and what is wrong with it."""
    account, given = g.account, request.form
    problems = {}
    # One more than there may be: what is cut off shows.
    phrase = line(given.get("phrase", ""), PHRASE_CHARACTERS + 1)
    if len(phrase) > PHRASE_CHARACTERS:
        problems["phrase"] = _("Please use at most %(count)s characters.") % {"count": PHRASE_CHARACTERS}
    notices, spoken, zone = given.get("notices", ""), given.get("language", ""), given.get("time_zone", "")
    if notices not in NOTICES:
        notices, problems["notices"] = before.notices, _("Please choose one of these.")
    if spoken not in language.available():
        spoken, problems["language"] = account.language, _("Please choose one of these.")
    if not time_zones.known(zone):
        zone, problems["time_zone"] = account.time_zone, _("Please choose one of these.")
    return replace(before, phrase=phrase, notices=notices, language=spoken, time_zone=zone), problems


def _page(chosen: Preferences, *, saved: bool = False, problems: dict[str, str] | None = None) -> Response:
    own, account = context(), g.account
    shown = {
        "phrase": request.form.get("phrase", chosen.phrase),
        "notices": chosen.notices,
        "language": (chosen.language if problems else account.language) or language.current(),
        "time_zone": chosen.time_zone if problems else account.time_zone,
    }
    html = render_template(
        "account.html",
        shown=shown,
        saved=saved,
        errors=problems or {},
        languages=[(name, _own_name(name)) for name in language.available()],
        zones=time_zones.groups(),
        regions=_regions(),
        characters=PHRASE_CHARACTERS,
        sessions=len(own.accounts.sessions(account.id, own.now())),
        second_step=own.config.accounts.require_totp != "never" or account.second_factor,
    )
    return make_response(html, 422 if problems else 200)


def _own_name(name: str) -> str:
    """A language as those who speak it call it."""
    spoken = Locale.parse(name)
    return (spoken.get_display_name(spoken) or name).capitalize()


def _regions() -> dict[str, str]:
    return {
        "Africa": _("Africa"),
        "America": _("America"),
        "Antarctica": _("Antarctica"),
        "Arctic": _("Arctic"),
        "Asia": _("Asia"),
        "Atlantic": _("Atlantic"),
        "Australia": _("Australia"),
        "Europe": _("Europe"),
        "Indian": _("Indian Ocean"),
        "Pacific": _("Pacific"),
    }


def _mailbox() -> Mailbox:
    """The mailbox of whoever is logged in; there is no way to another one."""
    return mailbox_of(context().config.mail.root, g.account.address)
