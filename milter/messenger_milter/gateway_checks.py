"""Test what the gateway leans on before mail comes: each problem is a sentence that says how to mend it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from messenger.config import Config
from messenger.gateway.certificates import Certificates
from messenger.gateway.pgp_keys import PgpKeys
from messenger.gateway.policy_file import PolicyFile
from messenger.tunnel import KeyFileError, load_certificate, load_sender_key

from . import socket_file
from .checks import Wrong, check_sendmail, check_smtp, failure


def problems(config: Config, socket_name: str) -> list[str]:
    """Everything wrong at once, so that mending takes one round."""
    return [text for check in _checks(config, socket_name) for text in failure(check)]


def problems_of_files(config: Config) -> list[str]:
    """What is wrong with keys, certificates and the policy: what a reload would read."""
    return [text for check in _files(config) for text in failure(check)]


def _files(config: Config) -> Iterator[Callable[[], object]]:
    section = config.gateway
    yield lambda: load_sender_key(section.sender_certificate, section.sender_key)
    yield lambda: load_certificate(section.recipient_certificate)
    yield lambda: PolicyFile(section.policy).current(time.time())


def _checks(config: Config, socket_name: str) -> Iterator[Callable[[], object]]:
    section = config.gateway
    yield from _files(config)
    if section.smtp:
        yield lambda: check_smtp(section.smtp, "protected mail", "[gateway] smtp")
    else:
        yield lambda: check_sendmail(section.sendmail[0], "protected mail", "[gateway] sendmail")
    if section.pgp_keys:
        yield lambda: PgpKeys(section.pgp_keys).check() if section.pgp_keys else None
        yield lambda: check_smtp(section.pgp_filter, "mail for the PGP filter", "[gateway] pgp_filter")
    for name in ("certificates", "sender_keys", "more_recipients"):
        if folder := getattr(section, name):
            yield lambda folder=folder, name=name: _check_folder(folder, name)  # type: ignore[misc]
    if section.certificates:
        yield lambda: Certificates(section.certificates).check() if section.certificates else None
    if section.mode == "observe":
        yield lambda: _check_writable(section.observed.parent, "[gateway] observed")
    if section.harvest and section.certificates:
        yield lambda: _check_writable(section.certificates, "[gateway] harvest") if section.certificates else None
    yield lambda: socket_file.check(socket_name, socket_file.GATEWAY)


def _check_folder(folder: Path, name: str) -> None:
    if not os.access(folder, os.R_OK | os.X_OK):
        raise KeyFileError(f"{folder}: no folder that messenger-gateway can read; make it, or empty [gateway] {name}")


def _check_writable(folder: Path, name: str) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Wrong(f"{folder}: {name} wants a folder that messenger-gateway may write to: make it, and give it away")
