"""The settings: one TOML file, read once by each ``main()`` into frozen dataclasses.

The dataclasses are the list of keys: what has no default is required, what isn't here is unknown. Secrets are
files named here, never values. Doesn't look whether those files exist: who opens them says so.
"""

import os
import re
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

from . import colours
from . import config_forms as forms
from .config_forms import Form
from .config_gateway import Gateway
from .config_kinds import Address, Colour, Days, Domain, Link, Octets, Socket, Text, Words
from .config_lines import places
from .config_reading import Reading, hints, shown
from .config_watching import Log, Metrics
from .envelope import domain_of
from .errors import MessengerError
from .gateway_basis import Basis
from .tunnel_fields import Fields

DEFAULT_PATH = Path("/etc/webmail-messenger/messenger.toml")
VARIABLE = "MESSENGER_CONFIG"


class ConfigError(MessengerError):
    """The settings can't be used as they stand. Names each line and what to write there."""


@dataclass(frozen=True)
class Site:
    portal_url: Annotated[
        str,
        Form('"https://" and a host name, no path (http only for localhost)', forms.portal_url),
    ]
    own_domains: Annotated[tuple[Domain, ...], Form('domains such as ["example.com"]', forms.some)]
    name: Text = "Webmail Messenger"
    language: Annotated[str, Form('a language such as "en" or "de"', forms.language)] = "en"
    time_zone: Annotated[str, Form('a time zone such as "Europe/Berlin"', forms.time_zone)] = "UTC"
    logo: Path | None = None
    colour: Colour = ""
    #: Empty: made of the other one.
    colour_dark: Colour = ""
    help_text: Path | None = None
    imprint_url: Link = ""
    privacy_url: Link = ""


@dataclass(frozen=True)
class Mail:
    root: Path = Path("/var/lib/webmail-messenger/mail")
    #: Of each mailbox, without its trash.
    quota: Octets = 2_000_000_000
    retention_days: Days = 0
    trash_days: Days = 30


@dataclass(frozen=True)
class Tunnel:
    webmail_sender: Address
    webmail_recipient: Address
    #: One key for each certificate, in the same order; the newest first.
    recipient_certificates: tuple[Path, ...] = (Path("keys/webmail-recipient.pem"),)
    recipient_keys: tuple[Path, ...] = (Path("keys/webmail-recipient.key"),)
    #: Pinned: a tunnel mail signed by any other certificate is refused.
    sender_certificates: tuple[Path, ...] = (Path("keys/webmail-sender.pem"),)
    accept_outer_headers: bool = False
    allow_3des: bool = False
    allow_sha1: bool = False
    fields: Fields = field(default_factory=Fields)


@dataclass(frozen=True)
class Intake:
    socket: Socket = "/var/spool/postfix/webmail-messenger/milter.sock"
    aliases: tuple[Address, ...] = ()
    size_limit: Annotated[int, Form("bytes, from 10240 to 2147483647", forms.between(10_240, 2_147_483_647))] = (
        52_428_800
    )
    ledger: Path = Path("/var/lib/webmail-messenger/ledger")
    #: A mail that comes again later than this counts as a new one. A year and a month.
    ledger_days: Annotated[int, Form("days, from 7 to 36500", forms.between(7, 36_500))] = 396
    #: "standalone": every mail that this Postfix asks about becomes webmail, without tunnel and keys.
    mode: Annotated[str, Form('"tunnel" or "standalone"', forms.one_of("tunnel", "standalone"))] = "tunnel"


@dataclass(frozen=True)
class Notice:
    mail_from: Address
    sendmail: Words = ("/usr/sbin/sendmail",)
    smtp: Annotated[str, Form('"HOST:PORT", or "" to use sendmail', forms.host_port_or_nothing)] = ""
    templates: Path | None = None
    link_key: Path = Path("keys/link.key")
    link_days: Annotated[int, Form("days, from 1 to 3650", forms.between(1, 3650))] = 30


@dataclass(frozen=True)
class Accounts:
    database: Path = Path("/var/lib/webmail-messenger/accounts/accounts.sqlite")
    idle_minutes: Annotated[int, Form("minutes, from 1 to 1440", forms.between(1, 1440))] = 15
    absolute_hours: Annotated[int, Form("hours, from 1 to 168", forms.between(1, 168))] = 8
    require_totp: Annotated[str, Form('"never", "offered" or "always"', forms.one_of("never", "offered", "always"))] = (
        "offered"
    )
    totp_key: Path = Path("keys/totp.key")
    unused_days: Days = 0
    audit_days: Days = 0


@dataclass(frozen=True)
class Reader:
    listen: Annotated[str, Form('"HOST:PORT" such as "127.0.0.1:8025"', forms.host_port)] = "127.0.0.1:8025"
    cache: Path = Path("/var/cache/webmail-messenger")
    trusted_proxies: Annotated[int, Form("a number of proxies, from 0 to 10", forms.between(0, 10))] = 0
    workers: Annotated[int, Form("a number of processes, from 1 to 64", forms.between(1, 64))] = 2
    read_receipts: bool = True
    trusted_roots: Path = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True)
class Reply:
    enabled: bool = True
    reply_all: bool = True
    compose_to: Annotated[str, Form('"own-domains", "list" or "off"', forms.one_of("own-domains", "list", "off"))] = (
        "own-domains"
    )
    compose_list: tuple[Address, ...] = ()
    reply_from: Annotated[str, Form('"site" or "own"', forms.one_of("site", "own"))] = "site"
    #: Empty: the notice's.
    mail_from: Annotated[str, Form('a mail address, or "" for that of notices', forms.address_or_nothing)] = ""
    size_limit: Annotated[int, Form("bytes, from 102400 to 2147483647", forms.between(102_400, 2_147_483_647))] = (
        26_214_400
    )
    per_hour: Annotated[int, Form("a number of mails, from 1 to 100000", forms.between(1, 100_000))] = 60
    encrypt_to: tuple[Path, ...] = ()
    encrypt_subject: bool = False
    sign_certificate: Path | None = None
    sign_key: Path | None = None


@dataclass(frozen=True)
class Pdf:
    key: Path = Path("keys/pdf.key")
    spool: Path = Path("/var/lib/webmail-messenger/pdf")
    password_symbols: Annotated[int, Form("symbols, from 17 to 60", forms.between(17, 60))] = 20
    #: Put the mail itself into the PDF, as message.eml.
    original: bool = False
    #: Larger mails leave their attachments in the portal.
    files_limit: Octets = 15_000_000
    sign_certificate: Path | None = None
    sign_key: Path | None = None
    password_days: Days = 0
    reply_days: Annotated[int, Form("days, from 1 to 3650", forms.between(1, 3650))] = 90
    tries: Annotated[int, Form("a number of tries, from 1 to 100", forms.between(1, 100))] = 5
    #: Empty: postmaster of the notices' domain.
    administrator: Annotated[str, Form('a mail address, or "" for the postmaster', forms.address_or_nothing)] = ""


@dataclass(frozen=True)
class Config:
    site: Site
    mail: Mail
    tunnel: Tunnel
    intake: Intake
    notice: Notice
    accounts: Accounts
    reader: Reader
    reply: Reply
    pdf: Pdf
    gateway: Gateway
    metrics: Metrics
    log: Log

    def basis(self) -> Basis:
        """Return what the gateway's decisions need."""
        keys = self.gateway
        return Basis(
            own_domains=self.site.own_domains,
            webmail_sender=self.tunnel.webmail_sender,
            webmail_recipient=self.tunnel.webmail_recipient,
            senders=frozenset({self.notice.mail_from, self.reply.mail_from} - {""}),
            order=keys.order,
            certificates=keys.certificates,
            pgp_keys=keys.pgp_keys if keys.pgp_filter else None,
            tables=keys.tables,
            table_seconds=keys.table_seconds,
        )


def settings_path(option: Path | None) -> Path:
    """Return the file to read: the option, else the environment variable, else the one in /etc."""
    return Path(option or os.environ.get(VARIABLE) or DEFAULT_PATH).absolute()


def load(path: Path | None = None) -> Config:
    """Read the settings, or raise one ConfigError that names everything wrong with them."""
    path = settings_path(path)
    return parse(read_text(path), path)


def check(section: str, key: str, value: Any) -> Any:
    """Return what the settings would make of one value, or raise ConfigError with what was expected."""
    reading = Reading(DEFAULT_PATH.parent, {})
    found = reading.value(hints(hints(Config)[section])[key], value, (section, key))
    if reading.errors:
        raise ConfigError("; ".join(text for _, text in reading.errors))
    return found


def parse(text: str, path: Path) -> Config:
    """Make settings of *text*; *path* is where relative paths start, and what errors name."""
    try:
        found = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # beside its own: numbers too long, lists too deep
        raise ConfigError(_syntax(path, text, str(error))) from error
    reading = Reading(path.parent, places(text))
    config = reading.table(Config, found, ())
    if not reading.errors:
        _compare(config, reading)
    if reading.errors:
        count = len(reading.errors)
        summary = f"{path}: {count} error{'s' if count > 1 else ''} in the settings; mend and start again:"
        raise ConfigError("\n  ".join([summary, *(text for _, text in sorted(reading.errors))]))
    assert isinstance(config, Config)
    return config


def _compare(config: Config, reading: Reading) -> None:
    """Look at what only makes sense together."""
    for key, scheme in (("colour", colours.LIGHT), ("colour_dark", colours.DARK)):
        if complaint := colours.complaint(getattr(config.site, key), scheme):
            reading.wrong(("site", key), f"[site] {key}: {complaint}")
    tunnel = config.tunnel
    certificates, keys = len(tunnel.recipient_certificates), len(tunnel.recipient_keys)
    if certificates != keys:
        text = f"expected one for each of the {certificates} recipient_certificates, found {keys}"
        reading.wrong(("tunnel", "recipient_keys"), f"[tunnel] recipient_keys: {text}")
    if tunnel.webmail_sender == tunnel.webmail_recipient:
        text = "expected another address than webmail_sender, found the same"
        reading.wrong(("tunnel", "webmail_recipient"), f"[tunnel] webmail_recipient: {text}")
    if config.notice.mail_from == tunnel.webmail_recipient:
        text = "expected another address than webmail_recipient (bounces come back to it), found the same"
        reading.wrong(("notice", "mail_from"), f"[notice] mail_from: {text}")
    _compare_reply(config, reading)
    for key, text in config.gateway.complaints():
        reading.wrong(("gateway", key), f"[gateway] {key}: {text}")
    for item in fields(tunnel.fields):
        for name in getattr(tunnel.fields, item.name):
            if not forms.is_field_name(name):
                text = f"expected names of header fields, without a colon, found {shown(name)}"
                reading.wrong(("tunnel", "fields", item.name), f"[tunnel.fields] {item.name}: {text}")


def _compare_reply(config: Config, reading: Reading) -> None:
    reply = config.reply
    outside = [address for address in reply.compose_list if domain_of(address) not in config.site.own_domains]
    if outside:
        text = f"expected addresses of own_domains, found {', '.join(outside)}"
        reading.wrong(("reply", "compose_list"), f"[reply] compose_list: {text}")
    if reply.compose_to == "list" and not reply.compose_list:
        text = 'expected addresses, because compose_to is "list", found none'
        reading.wrong(("reply", "compose_list"), f"[reply] compose_list: {text}")
    if bool(reply.sign_certificate) != bool(reply.sign_key):
        text = "expected a file, because the other of sign_certificate and sign_key names one, found none"
        missing = "sign_key" if reply.sign_certificate else "sign_certificate"
        reading.wrong(("reply", missing), f"[reply] {missing}: {text}")
    if reply.sign_key in config.tunnel.recipient_keys:
        text = "expected a key of its own, found one of the tunnel's recipient_keys"
        reading.wrong(("reply", "sign_key"), f"[reply] sign_key: {text}")
    if reply.encrypt_subject and not reply.encrypt_to:
        text = "expected false where encrypt_to is empty, found true"
        reading.wrong(("reply", "encrypt_subject"), f"[reply] encrypt_subject: {text}")


def read_text(path: Path) -> str:
    """Return what the file says; what is no readable text is a ConfigError."""
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path}: no settings there. Run `messenger setup` to make them, or name another file"
            f" with --config or {VARIABLE}"
        ) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}, line {line}: not UTF-8; save the file as UTF-8") from error
    except OSError as error:
        raise ConfigError(
            f"{path}: can't be read ({error.strerror}); give its reader the right to, or name another"
        ) from error


def _syntax(path: Path, text: str, error: str) -> str:
    at = re.search(r"line (\d+)", error)
    line = at[1] if at else text.count("\n") + 1
    reason = re.sub(r" \(at .*\)$", "", error)
    return f'{path}, line {line}: not TOML ({reason}). A setting looks like: name = "Webmail Messenger"'
