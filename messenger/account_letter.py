"""Write the mails that tell somebody what happened to the account: a way back in, or word of a change.

They name what happened, when and from which network address, never a password or a code. Knows no accounts, no clock
and no way to send.
"""

import ipaddress
from dataclasses import replace
from datetime import datetime

from . import visible
from .letterhead import SUBJECT_CHARACTERS, Site, date_and_time, direction, for_person, head, language_tag, size
from .notice_mail import encoded, mail
from .notice_texts import environment, languages, render
from .preferences import PHRASE_CHARACTERS

SUBJECT, TEXT, HTML = "account-subject.txt", "account.txt", "account.html"

#: What there is to tell. The first two have a link; what a word means to the person stands in account-words.txt.
KINDS = (
    "reset",
    "invite",
    "password-changed",
    "totp-on",
    "totp-off",
    "totp-reset",
    "recovery-used",
    "recovery-made",
    "disabled",
    "enabled",
    "deleted",
    "mailbox-filling",
    "mailbox-full",
)
LINKED = KINDS[:2]


def letter(
    kind: str,
    to: str,
    site: Site,
    now: datetime,
    message_id: str,
    *,
    link: str = "",
    client: str = "",
    language: str = "",
    time_zone: str = "",
    phrase: str = "",
    used: int = 0,
    quota: int = 0,
) -> bytes:
    """Write the mail to *to* about one of KINDS, ready to be sent.

    *client* is the network address it was done from; what isn't one is left out. *link* belongs to "reset" and
    "invite"; *used* and *quota*, in octets, to what is told of a mailbox. *language* and *time_zone* are the person's,
    empty where the site's are meant.
    """
    if kind not in KINDS or bool(link) != (kind in LINKED):
        raise ValueError(f"a letter of kind {kind!r} {'with' if link else 'without'} a link")
    site = for_person(site, language, time_zone)
    texts = environment(site.templates, site.language)
    values: dict[str, object] = {
        "kind": kind,
        "site": site,
        "language": language_tag(site),
        "direction": direction(site),
        "link": link,
        "client": _network_address(client),
        "happened": date_and_time(site, now),
        "phrase": visible.line(phrase, PHRASE_CHARACTERS),
        "used": size(site, used) if quota else "",
        "quota": size(site, quota) if quota else "",
    }
    subject = visible.line(render(texts, SUBJECT, {"kind": kind, "site": site}), SUBJECT_CHARACTERS)
    text = encoded(render(texts, TEXT, values))
    html = encoded(render(texts, HTML, values | {"subject": subject}))
    fields = head(to, subject, site, now, message_id)
    return mail(fields, text, html)


def check_templates(site: Site) -> None:
    """Raise NoticeError, naming file and line, if a letter of *site* could not be written in any of its languages."""
    now = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
    for language in dict.fromkeys((site.language, *languages(site.templates))):
        for kind in KINDS:
            link = f"{site.portal_url}/r/x" if kind in LINKED else ""
            spoken = replace(site, language=language)
            letter(
                kind,
                "recipient@example.org",
                spoken,
                now,
                "check@example.org",
                link=link,
                client="::1",
                phrase="A phrase",
                used=1,
                quota=1,
            )


def _network_address(client: str) -> str:
    try:
        return str(ipaddress.ip_address(client.partition("%")[0]))  # a scope can be any words
    except ValueError:
        return ""
