"""Letters that commands send to owners of accounts. Handed to the mail system at once: whoever runs us waits."""

import secrets
from datetime import UTC, datetime

from .. import colours
from ..account_letter import letter
from ..config import Config
from ..envelope import domain_of
from ..notify import Site
from ..submission import Route, submit


def send(
    config: Config, kind: str, to: str, *, link: str = "", language: str = "", time_zone: str = "", phrase: str = ""
) -> None:
    """Put a letter of *kind* into the mail system's queue, or raise MessengerError."""
    notice = config.notice
    raw = letter(
        kind,
        to,
        _site(config),
        datetime.now(UTC),
        f"{secrets.token_hex(16)}@{domain_of(notice.mail_from)}",
        link=link,
        language=language,
        time_zone=time_zone,
        phrase=phrase,
    )
    submit(raw, notice.mail_from, [to], Route(sendmail=notice.sendmail, smtp=notice.smtp))


def _site(config: Config) -> Site:
    return Site(
        name=config.site.name,
        portal_url=config.site.portal_url,
        notice_from=config.notice.mail_from,
        language=config.site.language,
        templates=config.notice.templates,
        time_zone=config.site.time_zone,
        accents=colours.accents(config.site.colour, config.site.colour_dark),
    )
