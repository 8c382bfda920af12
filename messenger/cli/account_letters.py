"""Letters that commands send to owners of accounts. Handed to the mail system at once: whoever runs us waits."""

import secrets
from datetime import UTC, datetime

from ..account_letter import letter
from ..config import Config
from ..envelope import domain_of
from ..letterhead import site_of
from ..submission import Route, submit


def send(
    config: Config, kind: str, to: str, *, link: str = "", language: str = "", time_zone: str = "", phrase: str = ""
) -> None:
    """Put a letter of *kind* into the mail system's queue, or raise MessengerError."""
    notice = config.notice
    raw = letter(
        kind,
        to,
        site_of(config.site, notice),
        datetime.now(UTC),
        f"{secrets.token_hex(16)}@{domain_of(notice.mail_from)}",
        link=link,
        language=language,
        time_zone=time_zone,
        phrase=phrase,
    )
    submit(raw, notice.mail_from, [to], Route(sendmail=notice.sendmail, smtp=notice.smtp))
