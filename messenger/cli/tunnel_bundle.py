"""``messenger tunnel bundle``: one file with all that a gateway on another host needs."""

import secrets
from pathlib import Path

import click

from ..config import Config
from ..errors import MessengerError
from . import bundle, status
from .arrival import passphrase_in
from .files import write_output
from .options import config_option, echo_json, json_option, settings
from .tunnel_files import recipient_certificate, sender_key

# 32 letters and digits that nobody takes for one another: 24 of them are 120 bits.
_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
_SYMBOLS = 24

password_option = click.option(
    "--bundle-password-file",
    "password_file",
    type=click.Path(path_type=Path),
    help="A file whose first line is the bundle's passphrase.",
)


@click.command(name="bundle", epilog="Example: messenger tunnel bundle --out gateway-bundle.json")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where to write it.")
@password_option
@click.option("--force", is_flag=True, help="Replace an existing file.")
@json_option
@config_option
def bundle_command(out: Path, password_file: Path | None, force: bool, as_json: bool) -> None:
    """Write one file for `messenger setup --role gateway` on another host: addresses, certificates, the sender's key.

    The key in it is sealed by a passphrase: one that is made and shown this once, or that of --bundle-password-file.
    """
    mark = write(settings(), out, password_file, force=force)
    if as_json:
        echo_json({"file": str(out), "fingerprint": mark})
    else:
        for line in said(out, mark):
            click.echo(line)


def said(out: Path, mark: str) -> tuple[str, ...]:
    """What to do with the bundle *out*, whose fingerprint is *mark*."""
    return (
        f"wrote {out}; carry it to the gateway's host, and there: messenger setup --role gateway --bundle FILE",
        f"its fingerprint, to be compared there: {mark}",
    )


def write(config: Config, out: Path, password_file: Path | None, *, force: bool = False) -> str:
    """Write the bundle and return its fingerprint. Raises Failed where it can't be, or is there already.

    A passphrase that is made is shown on standard error.
    """
    if not any(key.exists() for key in config.tunnel.recipient_keys):  # a gateway's host has the sender's, too
        raise status.Failed(
            "no recipient key here, so this is the gateway's end; bundles are made at Messenger's end", status.NO_INPUT
        )
    sender, recipient = sender_key(config), recipient_certificate(config)
    if out.exists() and not force:
        raise status.Failed(f"{out}: is there already; --force replaces it", status.CANT_CREATE)
    given = passphrase_in(password_file) if password_file else None
    passphrase = given if given is not None else _made()
    data = bundle.make(config, sender, recipient, passphrase)
    if given is None:
        # Before the file: one whose passphrase nobody has seen is good for nothing.
        click.echo(f"passphrase of {out}, shown this once: {passphrase.decode()}", err=True)
    write_output(out, data, 0o600, force)
    return bundle.groups(data)


def is_current(config: Config, file: Path) -> bool:
    """Whether the bundle in *file* says what one would that was made now."""
    try:
        sender = sender_key(config).certificate
        return bundle.says(file.read_bytes(), config, sender, recipient_certificate(config))
    except (MessengerError, OSError):
        return False


def _made() -> bytes:
    letters = "".join(secrets.choice(_LETTERS) for _ in range(_SYMBOLS))
    return "-".join(letters[start : start + 4] for start in range(0, _SYMBOLS, 4)).encode()
