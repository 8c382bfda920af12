"""Test what the intake leans on before mail comes: each problem is a sentence that says how to mend it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from messenger import account_letter, bounce, letterhead, link, notify
from messenger.config import Config, Tunnel
from messenger.errors import MessengerError
from messenger.pdf_spool import Spool
from messenger.tunnel.keys import load_certificate, load_recipient_key

from . import socket_file
from .ledger import Ledger

SMTP_SECONDS = 5.0


def problems(config: Config, socket_name: str) -> list[str]:
    """Everything wrong at once, so that mending takes one round."""
    return [text for check in _checks(config, socket_name) for text in failure(check)]


def problems_of_files(config: Config) -> list[str]:
    """What is wrong with keys, certificates and templates: what a reload would read."""
    return [text for check in (*_keys(config), *_templates(config)) for text in failure(check)]


def site_of(config: Config) -> notify.Site:
    """What notices say about this site."""
    return letterhead.site_of(config.site, config.notice)


def failure(check: Callable[[], object]) -> Iterator[str]:
    try:
        check()
    except (MessengerError, Wrong) as error:
        yield str(error)


class Wrong(Exception):
    """Something that no class of errors stands for."""


def _checks(config: Config, socket_name: str) -> Iterator[Callable[[], object]]:
    yield from _keys(config)
    yield lambda: _check_mail_root(config.mail.root)
    yield Ledger(config.intake.ledger).check
    yield lambda: _check_spool(Spool(config.pdf.spool))
    yield from _templates(config)
    if config.notice.smtp:
        yield lambda: check_smtp(config.notice.smtp, "notices", "[notice] smtp")
    else:
        yield lambda: check_sendmail(config.notice.sendmail[0], "the notices", "[notice] sendmail")
    yield lambda: socket_file.check(socket_name)


def _keys(config: Config) -> Iterator[Callable[[], object]]:
    if config.intake.mode == "tunnel":
        yield from _key_checks(config.tunnel)
    yield lambda: link.load_key(config.notice.link_key)


def _templates(config: Config) -> Iterator[Callable[[], object]]:
    yield lambda: notify.check_templates(site_of(config))
    if config.mail.quota:
        yield lambda: bounce.check_templates(site_of(config))
        yield lambda: account_letter.check_templates(site_of(config))


def _key_checks(tunnel: Tunnel) -> Iterator[Callable[[], object]]:
    for certificate, key in zip(tunnel.recipient_certificates, tunnel.recipient_keys, strict=True):
        yield lambda certificate=certificate, key=key: load_recipient_key(certificate, key)  # type: ignore[misc]
    for certificate in tunnel.sender_certificates:
        yield lambda certificate=certificate: load_certificate(certificate)  # type: ignore[misc]


def _check_mail_root(root: Path) -> None:
    if not root.is_dir():
        raise Wrong(f"the mail root {root} is missing: mount or make it, and give it to messenger-milter")
    if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        raise Wrong(f"cannot write to the mail root {root}: give it to the user of messenger-milter, mode 2770")
    if os.statvfs(root).f_flag & os.ST_RDONLY:
        raise Wrong(f"the mail root {root} is mounted read-only: mount it for writing")


def _check_spool(spool: Spool) -> None:
    """Its folders are made at the start; somebody who only checks makes none."""
    if spool.root.is_dir() and any(spool.root.iterdir()):
        spool.check()
    elif not os.access(spool.root if spool.root.exists() else spool.root.parent, os.W_OK | os.X_OK):
        raise Wrong(f"cannot make the PDF spool {spool.root}: make it, and give it to messenger-milter, mode 2770")


def check_sendmail(command: str, what: str, setting: str) -> None:
    """Raise unless there is a *command* to send *what* by; *setting* names another."""
    if not os.access(command, os.X_OK):
        raise Wrong(f"{command}, which sends {what}, is missing: install Postfix, or name another {setting}")


def check_smtp(address: str, what: str, setting: str) -> None:
    """Raise unless somebody takes *what* at *address*."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=SMTP_SECONDS).close()
    except OSError as error:
        raise Wrong(f"nobody takes {what} at {address}: {error}; check {setting}") from error
