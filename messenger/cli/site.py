"""Put a site on disk: settings, folders, secrets, tunnel keys. Each step finds out whether it was done before.

A step appears whole or not at all, so a run that was killed is finished by the next one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from ..config import Config, load, parse, read_text
from ..gateway.policy import parse as parse_policy
from ..gateway.policy_file import read_policy
from ..gateway.values import PolicyError
from ..tunnel.keys import load_certificate
from . import gateway_keys, key_making, places, settings_file, status
from .files import write_whole
from .key_making import End, KeyType, Pair
from .questions import Answers
from .roles import Parts, Role
from .tunnel_files import key_beside


@dataclass
class Report:
    """What was done, in the order it was, and what the person should know."""

    done: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Site:
    """Where the settings are, and what they say now; without a file: what they will start from."""

    path: Path
    text: str
    exists: bool

    @classmethod
    def at(cls, path: Path) -> "Site":
        exists = path.exists()
        return cls(path, read_text(path) if exists else settings_file.template(), exists)

    def current(self) -> Answers:
        """Return what an existing file says; the examples in the template are nobody's answers."""
        if not self.exists:
            return {}
        found = settings_file.values(self.text, self.path)
        return {
            (section, key): value
            for section, keys in found.items()
            if isinstance(keys, dict)
            for key, value in keys.items()
        }


def state_changes(site: Site, state: Path | None, role: Role, parts: Parts) -> dict[tuple[str, str], str]:
    """Say where a part that is new here keeps what it writes: in /var for the machine's settings, else beside them."""
    system = places.is_system(site.path)
    base = Path("state") if state is None else Path.cwd() / state
    changes: dict[tuple[str, str], Path] = {}
    if role.messenger and (state is not None or not (system or parts.messenger or parts.settings)):
        changes |= {
            ("intake", "ledger"): base / "ledger",
            ("accounts", "database"): base / "accounts" / "accounts.sqlite",
            ("reader", "cache"): base / "cache",
            ("pdf", "spool"): base / "pdf",
        }
        if not system:
            changes["intake", "socket"] = base / "milter" / "milter.sock"
    if role.gateway and (state is not None or not (system or parts.gateway)):
        changes["gateway", "observed"] = base / "observed" / "observed.jsonl"
        if not system:
            changes["gateway", "socket"] = base / "gateway" / "gateway.sock"
    return {place: str(path) for place, path in changes.items()}


def key_type_now(site: Site) -> KeyType:
    """Return the kind of the newest recipient key, for a renewal; RSA for a new site: every gateway knows it."""
    if site.exists:
        newest = parse(site.text, site.path).tunnel.recipient_certificates[:1]
        if newest and newest[0].exists():
            elliptic = isinstance(load_certificate(newest[0]).public_key(), EllipticCurvePublicKey)
            return "ec-p256" if elliptic else "rsa-3072"
    return "rsa-3072"


def has_gateway_keys(config: Config) -> bool:
    """Whether all that a gateway works with is there."""
    here = config.gateway
    return all(path.exists() for path in (here.sender_certificate, here.sender_key, here.recipient_certificate))


def messengers_keys(config: Config, base: Path) -> Answers:
    """Return what a gateway beside Messenger works with: the newest sender key that is here, the newest certificate."""
    for certificate in config.tunnel.sender_certificates:
        if key_beside(certificate).exists():
            pair = Pair(certificate, key_beside(certificate))
            return gateway_keys.named(pair, config.tunnel.recipient_certificates[0], base)
    raise status.Failed(
        "no webmail sender key is here for a gateway to sign with; `messenger setup --renew-tunnel` makes a new pair",
        status.NO_INPUT,
    )


def put(
    site: Site,
    changes: Mapping[tuple[str, str], Any],
    key_type: KeyType,
    role: Role,
    now: datetime,
    report: Report,
    keys: gateway_keys.Keys | None = None,
) -> Config:
    """Bring everything on disk to what *changes* ask for, and return the settings.

    *keys* are those that a bundle brought; where there are none, a gateway works with Messenger's beside it.
    """
    text = settings_file.changed(site.text, changes)
    config = parse(text, site.path)
    _make_folders(config, site.path, role, report)
    if role.messenger:
        _make_secrets(config, report)
        if config.intake.mode == "tunnel":
            _make_pairs(config, key_type, now, report, in_use=site.exists)
    if role.gateway:
        if keys:
            report.done += gateway_keys.put(keys)
        _make_policy(config.gateway.policy, report)
    _write_settings(site, text, now, report)
    return config


def renew(site: Site, key_type: KeyType, role: Role, now: datetime, report: Report) -> Config:
    """Make a new pair for each end, beside the old ones, which stay accepted; a gateway here goes over to them."""
    config = load(site.path)
    folder, base = site.path.parent / "keys", site.path.parent
    tunnel = config.tunnel
    sender = _new_pair(folder, "sender", tunnel.webmail_sender, key_type, now, report)
    recipient = _new_pair(folder, "recipient", tunnel.webmail_recipient, key_type, now, report)
    lists = {
        "sender_certificates": (sender.certificate, *tunnel.sender_certificates),
        "recipient_certificates": (recipient.certificate, *tunnel.recipient_certificates),
        "recipient_keys": (recipient.key, *tunnel.recipient_keys),
    }
    changes: dict[tuple[str, str], Any] = {
        ("tunnel", key): [settings_file.written_path(path, base) for path in paths] for key, paths in lists.items()
    }
    if role.gateway:
        changes |= gateway_keys.named(sender, recipient.certificate, base)
    config = settings_file.rewrite(site.path, changes, now)
    report.done.append(f"changed {site.path}")
    return config


def _new_pair(folder: Path, role: End, address: str, key_type: KeyType, now: datetime, report: Report) -> Pair:
    pair = key_making.next_pair(folder, role)
    made = key_making.make_tunnel_pair(pair, role, address, key_type, now, in_use=False)
    report.done += [f"made {path}" for path in made]
    return pair


def _make_folders(config: Config, settings: Path, role: Role, report: Report) -> None:
    places.make_path(settings.parent)
    for folder in places.folders(config, settings, role):
        if done := places.make(folder):
            report.done.append(done)
        elif advice := places.advice(folder):
            report.notes.append(f"{folder.path} is not {folder.user}'s; if it can't work there: {advice}")


def _make_secrets(config: Config, report: Report) -> None:
    for path in (config.notice.link_key, config.accounts.totp_key, config.pdf.key):
        if key_making.make_secret(path):
            report.done.append(f"made {path}")


def _make_pairs(config: Config, key_type: KeyType, now: datetime, report: Report, *, in_use: bool) -> None:
    """Make the pairs that the settings name and that aren't there: both at the first run, none at any other."""
    tunnel = config.tunnel

    def make(pair: Pair, role: End, address: str) -> None:
        made = key_making.make_tunnel_pair(pair, role, address, key_type, now, in_use=in_use)
        report.done += [f"made {path}" for path in made]

    for certificate in tunnel.sender_certificates:
        make(Pair(certificate, key_beside(certificate)), "sender", tunnel.webmail_sender)
    for certificate, key in zip(tunnel.recipient_certificates, tunnel.recipient_keys, strict=True):
        make(Pair(certificate, key), "recipient", tunnel.webmail_recipient)


def _make_policy(path: Path, report: Report) -> None:
    """Write the policy to start with; one that is there is somebody's, and only looked at."""
    if path.exists():
        try:
            parse_policy(read_policy(path), path)
        except PolicyError as error:
            report.notes.append(f"{error}\n  until then messenger-gateway doesn't start, and mail waits (451)")
        return
    text = settings_file.template("gateway.toml")
    parse_policy(text, path)
    write_whole(path, text.encode(), 0o644, replace=False)
    report.done.append(f"wrote {path}")


def _write_settings(site: Site, text: str, now: datetime, report: Report) -> None:
    if not site.exists:
        write_whole(site.path, text.encode(), 0o644)
        report.done.append(f"wrote {site.path}")
    elif text != site.text:
        copy = settings_file.backup(site.path, now)
        settings_file.replace(site.path, text)
        report.done.append(f"changed {site.path}; the old one is {copy}")
