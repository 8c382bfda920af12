"""Doctor: one test mail through everything. Wrapped as the gateway does, handed to Postfix, looked for in the mailbox.

It is removed once it is there, and so is a mailbox that was made for it. Its recipient gets a notice, as for any mail.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

from .. import tunnel
from ..envelope import display, domain_of, normal
from ..errors import MessengerError
from ..mailbox import Mailbox, mailbox_of
from ..submission import Route, submit
from ..tunnel import SenderKey
from ..tunnel.keys import load_certificate, load_sender_key
from . import account_database, postfix
from .doctor_finding import Finding, Host, fail, ok, skip, warn
from .status import Failed
from .tunnel_files import key_beside

CHECK = "test mail"
SECONDS = 60.0
STEP_SECONDS = 0.2
#: So much of a mail holds its header.
HEAD_OCTETS = 65_536


def sent(host: Host, to: str, smtp: str, say: Callable[[str], None]) -> list[Finding]:
    """Send a test mail to *to* by SMTP (*smtp*: "HOST:PORT", "" for this host's Postfix) and wait for it."""
    try:
        return list(_sent(host, normal(to), smtp or _door(host), say))
    except MessengerError as error:
        return [fail(CHECK, str(error))]
    except OSError as error:
        return [fail(CHECK, f"{error.filename or ''} {error.strerror or error}".strip())]


def _sent(host: Host, to: str, smtp: str, say: Callable[[str], None]) -> Iterator[Finding]:
    config = host.config
    message_id = f"<doctor.{secrets.token_hex(16)}@{domain_of(config.tunnel.webmail_sender)}>"
    author = config.notice.mail_from
    if host.role.messenger and not host.tunnel:
        if domain_of(to) in config.site.own_domains:
            raise Failed(f"{to}: without a tunnel only mail to people outside becomes webmail; take such an address")
        # What Messenger itself sends passes its milter by.
        author = f"postmaster@{config.site.own_domains[0]}"
        sender, recipient = author, to
        raw = _message(author, to, message_id)
    else:
        raw = _message(author, to, message_id)
        pair = _sender_key(host)
        if pair is None:
            yield skip(CHECK, "the key that signs tunnel mail is at the gateway; run messenger doctor --send there")
            return
        sender, recipient = config.tunnel.webmail_sender, config.tunnel.webmail_recipient
        raw = _wrapped(host, raw, to, pair, message_id)
    mailbox = mailbox_of(config.mail.root, to)
    new = host.role.messenger and not mailbox.exists()
    begun = time.monotonic()
    submit(raw, sender, (recipient,), Route(smtp=smtp))
    say(f"{smtp} took the test mail to {display(to)}; waiting for it in the mailbox")
    if not host.role.messenger:
        yield ok(CHECK, f"{smtp} took it; Messenger is elsewhere: look whether a notice comes to {to}")
        return
    name = _awaited(mailbox, message_id, begun + SECONDS)
    yield judge(to, time.monotonic() - begun, arrived=name is not None, smtp=smtp)
    if name is not None:
        try:
            _remove(mailbox, name, config.accounts.database, new=new)
        except MessengerError as error:
            yield warn(CHECK, f"it is still in the mailbox of {to}: {error}", "remove it in the portal")


def _message(sender: str, to: str, message_id: str) -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Message-ID"] = sender, to, message_id
    mail["Subject"] = "Test of Webmail Messenger"
    mail["Date"] = datetime.now(UTC)
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation replies, please
    mail.set_content("A test by messenger doctor. It is removed as soon as it has arrived.\n")
    return mail.as_bytes()


def _wrapped(host: Host, raw: bytes, to: str, pair: SenderKey, message_id: str) -> bytes:
    config = host.config
    gateway = host.role.gateway
    paths = (config.gateway.recipient_certificate,) if gateway else config.tunnel.recipient_certificates
    return tunnel.wrap(
        raw,
        mail_from=config.notice.mail_from,
        rcpt_tos=(to,),
        sender=pair,
        recipient=load_certificate(paths[0]),
        webmail_sender=config.tunnel.webmail_sender,
        webmail_recipient=config.tunnel.webmail_recipient,
        date=datetime.now(UTC),
        message_id=message_id,
        modern=config.gateway.modern if gateway else False,
        fields=config.tunnel.fields,
    )


def _sender_key(host: Host) -> SenderKey | None:
    config = host.config
    pairs = [(path, key_beside(path)) for path in config.tunnel.sender_certificates]
    if host.role.gateway:
        pairs = [(config.gateway.sender_certificate, config.gateway.sender_key)]
    return next((load_sender_key(certificate, key) for certificate, key in pairs if key.exists()), None)


def _door(host: Host) -> str:
    """Where this host's Postfix takes mail by SMTP: a milter isn't asked about what sendmail(1) hands in."""
    found = postfix.inspect(host.postfix)
    own = [line.split("/")[0] for line in found.overrides if not line.partition("=")[2].strip()]  # asks nobody
    names = [name for name in found.listeners if name not in own] or list(found.listeners)
    name = next((one for one in names if one.rpartition(":")[2] in ("smtp", "25")), names[0] if names else "smtp")
    there, _, port = name.rpartition(":")
    return f"{there or '127.0.0.1'}:{'25' if port == 'smtp' else port}"


def _awaited(mailbox: Mailbox, message_id: str, end: float) -> str | None:
    """The name of the message in the inbox; None where it isn't there in time."""
    wanted, known = message_id.encode(), set[str]()
    while time.monotonic() < end:
        for entry in mailbox.list():
            if entry.name not in known:
                known.add(entry.name)
                with suppress(MessengerError):
                    if wanted in mailbox.read(entry.name, limit=HEAD_OCTETS):
                        return entry.name
        time.sleep(STEP_SECONDS)
    return None


def judge(to: str, seconds: float, *, arrived: bool, smtp: str) -> Finding:
    if not arrived:
        text = f"{smtp} took it, and it is not in the mailbox of {to} after {seconds:.0f} seconds"
        return fail(CHECK, text, "postqueue -p; journalctl -u messenger-milter -u postfix@- --since -5min")
    if seconds > SECONDS / 2:
        return warn(CHECK, f"arrived after {seconds:.1f} seconds, which is slow", "uptime; postqueue -p")
    return ok(CHECK, f"arrived in the mailbox of {to} after {seconds:.1f} seconds; it is removed, a notice follows")


def _remove(mailbox: Mailbox, name: str, database: Path, *, new: bool) -> None:
    # As the reader, whose these files are; before its first start there is nobody yet.
    with account_database.as_owner(database) if database.exists() else nullcontext():
        mailbox.remove_all([name], "")
        if new:
            now = time.time()
            mailbox.remove_if_empty(now + 1, now)  # only where nothing else has come meanwhile
