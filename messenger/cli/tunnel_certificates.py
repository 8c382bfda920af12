"""``messenger tunnel export, import, list, retire``: hand certificates to a gateway, and say whose signature counts."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    PrivateFormat,
    pkcs12,
)

from ..config import Config
from ..tunnel import KeyFileError, SenderKey, fingerprint
from ..tunnel.keys import load_certificate
from . import status
from .files import locked, write_output, write_whole
from .options import config_option, echo_json, json_option, path_of_settings, settings
from .settings_file import rewrite, written_path
from .tunnel_files import recipient_certificate, sender_key

#: Below this, the beginning of a fingerprint could be typed by accident.
MIN_PREFIX = 8
#: So long a second command waits for the first one.
WAIT_SECONDS = 30.0
# NIST SP 800-132 asks for as many rounds as users bear; this takes a tenth of a second and Java accepts it.
PKCS12_ROUNDS = 100_000


@click.command(
    epilog="Example: messenger tunnel export --sender-key gateway.p12 --recipient-certificate webmail-recipient.pem"
)
@click.option("--sender-key", "p12", type=click.Path(path_type=Path), help="Sender key and certificate, PKCS#12.")
@click.option("--password", help="For the PKCS#12 file; others see it in the process list. Asked for when not given.")
@click.option("--password-file", type=click.Path(path_type=Path), help="A file whose first line is the password.")
@click.option("--recipient-certificate", "pem", type=click.Path(path_type=Path), help="Recipient certificate, PEM.")
@click.option("--old-format", is_flag=True, help="PKCS#12 with 3DES and SHA-1, for gateways that read no newer one.")
@click.option("--force", is_flag=True, help="Replace existing files.")
@json_option
@config_option
def export(
    p12: Path | None,
    password: str | None,
    password_file: Path | None,
    pem: Path | None,
    old_format: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Write what the gateway needs: the key it signs with, and the certificate it encrypts to."""
    if not p12 and not pem:
        raise click.UsageError("say what to write: --sender-key FILE.p12, --recipient-certificate FILE.pem, or both")
    config, written = settings(), []
    if p12:
        pair = sender_key(config)
        write_output(p12, _pkcs12(pair, _password(password, password_file), old_format), 0o600, force)
        written.append(("sender", p12, fingerprint(pair.certificate)))
    if pem:
        certificate = recipient_certificate(config)
        write_output(pem, certificate.public_bytes(Encoding.PEM), 0o644, force)
        written.append(("recipient", pem, fingerprint(certificate)))
    if as_json:
        echo_json({"written": [{"role": role, "file": str(file), "fingerprint": mark} for role, file, mark in written]})
        return
    for role, file, mark in written:
        click.echo(f"{file}: webmail {role}{' key and' * (role == 'sender')} certificate {mark}")


def _password(given: str | None, file: Path | None) -> bytes:
    if file is not None:
        given = file.read_text("utf-8").partition("\n")[0].rstrip("\r")
    if given is None:
        given = str(click.prompt("Password for the PKCS#12 file", hide_input=True, confirmation_prompt=True, err=True))
    if not given:
        raise status.Failed("the PKCS#12 file holds a private key; give it a password that isn't empty", status.USAGE)
    return given.encode()


def _pkcs12(pair: SenderKey, password: bytes, old_format: bool) -> bytes:
    encryption: KeySerializationEncryption = BestAvailableEncryption(password)
    if old_format:
        encryption = (
            PrivateFormat.PKCS12.encryption_builder()
            .kdf_rounds(PKCS12_ROUNDS)
            .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
            .hmac_hash(SHA1())  # noqa: S303 - what old readers know; the password carries the weight
            .build(password)
        )
    return pkcs12.serialize_key_and_certificates(
        b"webmail-sender",
        pair.key,  # type: ignore[arg-type]  # a SenderKey never holds an X25519 key
        pair.certificate,
        None,
        encryption,
    )


@click.command(name="import", epilog="Example: messenger tunnel import gateway.pem")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@config_option
def import_(file: Path, as_json: bool) -> None:
    """Pin the sender certificate in FILE (PEM or DER), made elsewhere: mail signed by it is accepted from now on."""
    path, certificate = path_of_settings(), _usable(file)
    mark = fingerprint(certificate)
    with locked(path.parent, WAIT_SECONDS):  # what another command pins meanwhile stays pinned
        pinned = settings().tunnel.sender_certificates
        there = next((one for one in pinned if fingerprint(load_certificate(one)) == mark), None)
        copy = there or path.parent / "keys" / f"sender-{mark[:16]}.pem"
        if not copy.exists():
            write_whole(copy, certificate.public_bytes(Encoding.PEM), replace=False)
        if there is None:
            _set(path, sender_certificates=[*pinned, copy])
    if as_json:
        echo_json({"act": "import", "role": "sender", "fingerprint": mark, "file": str(copy), "changed": there is None})
    elif there:
        click.echo(f"{mark} is pinned already; nothing to change")
    else:
        click.echo(f"pinned {mark}\n  subject {certificate.subject.rfc4514_string()}\n  file    {copy}")
        _restart()


def _usable(file: Path) -> x509.Certificate:
    if not file.exists():
        raise status.Failed(f"{file}: no such file; check the name", status.NO_INPUT)
    try:
        certificate = load_certificate(file)
    except KeyFileError as error:
        raise status.Failed(str(error)) from error
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        usage = None
    if usage is not None and not (usage.digital_signature or usage.content_commitment):
        raise status.Failed(f"{file}: not made for signing (key usage); ask for the gateway's signing certificate")
    now = datetime.now(UTC)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        dates = f"{certificate.not_valid_before_utc:%Y-%m-%d} to {certificate.not_valid_after_utc:%Y-%m-%d}"
        raise status.Failed(f"{file}: valid from {dates} only; ask for one that is valid now")
    return certificate


@click.command(name="list", epilog="Example: messenger tunnel list --json")
@json_option
@config_option
def list_(as_json: bool) -> None:
    """List the certificates the tunnel uses: whose signature counts, and what mail may be encrypted to."""
    config = settings()
    found = [*_described("sender", config), *_described("recipient", config)]
    if as_json:
        echo_json({"certificates": found})
        return
    for one in found:
        click.echo(f"{one['role']:<10}{one['fingerprint']}\n{'':<10}{one['subject']}, {one['from']} to {one['until']}")
        click.echo(f"{'':<10}{one['file']}")


def _described(role: str, config: Config) -> list[dict[str, Any]]:
    return [
        {
            "role": role,
            "fingerprint": fingerprint(certificate),
            "subject": certificate.subject.rfc4514_string(),
            "from": f"{certificate.not_valid_before_utc:%Y-%m-%d}",
            "until": f"{certificate.not_valid_after_utc:%Y-%m-%d}",
            "file": str(path),
        }
        for path in _paths(role, config)
        for certificate in [load_certificate(path)]
    ]


def _paths(role: str, config: Config) -> tuple[Path, ...]:
    return config.tunnel.sender_certificates if role == "sender" else config.tunnel.recipient_certificates


@click.command(epilog="Example: messenger tunnel retire 3f9a0c1b77d2e4f5")
@click.argument("mark", metavar="FINGERPRINT")
@json_option
@config_option
def retire(mark: str, as_json: bool) -> None:
    """Stop accepting one certificate, named by its fingerprint or at least its first 8 digits. Deletes no file."""
    wanted = mark.replace(":", "").lower()
    if len(wanted) < MIN_PREFIX:
        raise status.Failed(f"{mark}: expected a fingerprint, or at least its first {MIN_PREFIX} digits", status.USAGE)
    with locked(path_of_settings().parent, WAIT_SECONDS):  # or two at once would each leave the other's
        role, path, whole = _retired(wanted, settings())
    if as_json:
        echo_json({"act": "retire", "role": role, "fingerprint": whole, "file": str(path), "changed": True})
    else:
        click.echo(f"retired the {role} certificate {path}; its files stay where they are")
        _restart()


def _retired(wanted: str, config: Config) -> tuple[str, Path, str]:
    """Take the certificate that *wanted* begins the fingerprint of out of the settings; return what it was."""
    found = [
        (role, path, mark)
        for role in ("sender", "recipient")
        for path in _paths(role, config)
        if (mark := fingerprint(load_certificate(path))).startswith(wanted)
    ]
    if len(found) != 1:
        many = "several certificates begin" if found else "no certificate in the settings begins"
        raise status.Failed(f"{many} with {wanted}; `messenger tunnel list` shows them all")
    role, path, _ = found[0]
    if len(_paths(role, config)) == 1:
        raise status.Failed(
            f"{wanted} is the only {role} certificate, no tunnel mail could be accepted without it;"
            " first `messenger setup --renew-tunnel`, or `messenger tunnel import` another one"
        )
    _drop(role, path, config)
    return found[0]


def _drop(role: str, path: Path, config: Config) -> None:
    tunnel = config.tunnel
    if role == "sender":
        _set(path_of_settings(), sender_certificates=[one for one in tunnel.sender_certificates if one != path])
        return
    index = tunnel.recipient_certificates.index(path)
    keep = [number for number in range(len(tunnel.recipient_certificates)) if number != index]
    _set(
        path_of_settings(),
        recipient_certificates=[tunnel.recipient_certificates[number] for number in keep],
        recipient_keys=[tunnel.recipient_keys[number] for number in keep],
    )


def _set(path: Path, **lists: list[Path]) -> None:
    changes = {("tunnel", key): [written_path(one, path.parent) for one in ones] for key, ones in lists.items()}
    rewrite(path, changes, datetime.now(UTC))


def _restart() -> None:
    click.echo("It counts once the milter has read it: systemctl reload messenger-milter")
