"""A bundle arrives at the gateway's host: read it, have its fingerprint compared, open its key. Writes nothing."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click

from ..errors import MessengerError
from ..tunnel import SenderKey
from . import bundle, status

TRIES = 3


@dataclass(frozen=True)
class Arrived:
    """A bundle that somebody has vouched for."""

    bundle: bundle.Bundle
    sender: SenderKey


def receive(file: Path, fingerprint: str | None, password_file: Path | None, now: datetime, *, ask: bool) -> Arrived:
    """Return what the bundle in *file* holds. Raises Failed where it isn't the one that Messenger's end made."""
    with file.open("rb") as stream:
        data = stream.read(bundle.MAX_OCTETS + 1)
    found = bundle.read(data, str(file), now)
    mark = bundle.groups(data)
    of_whom = f"Messenger at {found.settings['site', 'portal_url']}, own domains"
    # Part of the question; where none is asked, for whoever reads along.
    click.echo(f"{file}: fingerprint {mark}", err=not ask)
    click.echo(f"  {of_whom} {' '.join(found.settings['site', 'own_domains'])}", err=not ask)
    if fingerprint is not None:
        if not bundle.is_fingerprint(fingerprint, data):
            raise status.Failed(
                f"{file}: expected the fingerprint {fingerprint!r}, found {mark}; nothing was written. Carry the file"
                " over again, and look at what Messenger's end printed"
            )
    elif not ask:
        raise status.Failed(
            "--fingerprint is needed: what Messenger's end printed when the bundle was made; or leave out"
            " --non-interactive to be asked",
            status.USAGE,
        )
    elif not click.confirm("Did Messenger's end print the same"):
        raise status.Failed(f"{file}: another fingerprint than Messenger's end printed; nothing was written")
    return Arrived(found, _opened(found, password_file, ask=ask))


def _opened(found: bundle.Bundle, password_file: Path | None, *, ask: bool) -> SenderKey:
    if password_file is not None:
        return found.open(passphrase_in(password_file))
    if not ask:
        raise status.Failed(
            "--bundle-password-file is needed: a file with the bundle's passphrase; or leave out --non-interactive"
            " to be asked",
            status.USAGE,
        )
    for _ in range(TRIES - 1):
        try:
            return found.open(_typed())
        except MessengerError as error:
            click.echo(f"Error: {error}", err=True)
    return found.open(_typed())


def _typed() -> bytes:
    return str(click.prompt("The bundle's passphrase", hide_input=True, err=True)).strip().encode()


def passphrase_in(file: Path) -> bytes:
    """Return the first line of *file*."""
    with file.open("rb") as stream:
        return stream.readline(4096).rstrip(b"\r\n")
