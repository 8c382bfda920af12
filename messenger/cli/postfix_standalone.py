"""What Postfix needs in stand-alone mode: it asks the milter about each mail that comes by SMTP, and nothing more.

Whom it takes mail from, and how mail goes back, the site alone knows: that is said, and never changed.
"""

from collections.abc import Iterator

from ..config import Config
from ..mynetworks import danger, wide
from .postfix import Postfix
from .postfix_milters import asked_before


def reminder(postfix: Postfix, config: Config) -> str:
    """Return what a person has to look at by hand, whatever stands there now."""
    return (
        f"whoever may send through this Postfix can put mail into mailboxes, in anybody's name. It takes mail from"
        f" mynetworks = {postfix.meant['mynetworks'].strip() or 'nobody'}: your mail server must be there, and"
        f" nobody else but loopback (or its TLS client certificate: docs/milter.md). Replies, receipts and bounces to"
        f" {', '.join(config.site.own_domains)} go back as DNS says, or by a line in transport_maps"
    )


def warnings(postfix: Postfix, config: Config, address: str, by_smtp: str) -> Iterator[str]:
    """Say what lets strangers in, or the milter see other mail than was sent; *by_smtp* will be the milters."""
    if found := wide(postfix.meant["mynetworks"]):
        yield danger(found)
    if before := asked_before(address, by_smtp):
        yield (
            f"smtpd_milters asks {', '.join(before)} before the milter: what it adds is part of the mail that is"
            f" stored. Put {address} first"
        )
    limit = int(postfix.meant["message_size_limit"])
    if limit and limit < config.intake.size_limit:
        yield (
            f"Postfix takes mail up to {limit} bytes (message_size_limit), [intake] size_limit is"
            f" {config.intake.size_limit}: the smaller one counts, so give both what your mail server lets pass"
        )
