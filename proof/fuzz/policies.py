"""What operators write: settings and policies. Any text is read, or refused with the reason."""

# ruff: noqa: E501 (words of a format are read best side by side)

from __future__ import annotations

from pathlib import Path

from messenger import config
from messenger.errors import MessengerError
from messenger.gateway import policy
from messenger.gateway.rules import judge
from messenger.gateway.values import PolicyError, Seen

from .finding import ROOT
from .target import PLACES, Broken, Feed, Target

_PATH = Path("/etc/webmail-messenger/some.toml")
_RAW = (
    b"From: Anna <anna@example.org>\r\nTo: bob@example.com\r\nSubject: [secure] The offer\r\nSensitivity: Private\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nDE89 3704 0044 0532 0130 00, 4111 1111 1111 1111\r\n'
    b'--b\r\nContent-Type: text/csv; name="list.csv"\r\n\r\na,b\r\n--b--\r\n'
)
_HEADERS = (("From", b"Anna <anna@example.org>"), ("Subject", b"[secure] The offer"), ("Sensitivity", b"Private"))
_RULES = (
    '[[rule]]\nname = "all"\nresult = "mandatory"\nsender = ["*@example.org"]\nrecipient = ["*.example.com"]\n'
    'subject = ["[secure]"]\nsubject_at = "start"\nattachment = ["*.csv"]\nsize = "1 MB"\n'
    'text = [{ pattern = "iban", count = 2 }, "card", "/ab+c/"]\n[rule.header]\nSensitivity = "company-*"\n',
    '[global]\nenabled = true\nencrypt_mode = "allow"\n[domain."*.partner.example"]\nencrypt_mode = "mandatory"\n'
    '[user."anna@partner.example"]\notp_enabled = true\nread_receipt = false\n',
)
_TOML = (
    *(
        b"=",
        b"[",
        b"]",
        b"[[",
        b"]]",
        b"{",
        b"}",
        b'"',
        b"'",
        b'"""',
        b"'''",
        b"#",
        b"\n",
        b",",
        b".",
        b"\\",
        b"\\u0000",
    ),
    *(
        b"true",
        b"false",
        b"0x7f",
        b"1e999",
        b"nan",
        b"-1",
        b"1_000",
        b"2026-01-01",
        b'""',
        b"[]",
        b"{}",
        b"\\U0010ffff",
    ),
    *(b'"a@b.example"', b'["x"]', b"[site]\n", b"[mail]\n", b"[tunnel]\n", b"[reply]\n", b"[gateway]\n", b"[pdf]\n"),
    *(b"\xef\xbb\xbf", b"\xc3\xa4", b"\xe2\x80\xae", b"\x00", b"\r\n", b"= [[[[[[[[", b"a.a.a.a.a.a = 1\n"),
)


def _settings(_home: Path) -> Feed:
    def feed(data: bytes) -> None:
        try:
            written = data.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError:
            return
        try:
            config.parse(written, _PATH).basis()
        except config.ConfigError as error:
            _check(error)

    return feed


def _policy(_home: Path) -> Feed:
    mails = [
        Seen("anna@example.org", ("bob@example.com",), _HEADERS),
        Seen("anna@example.org", ("bob@example.com",), _HEADERS, raw=_RAW),
    ]

    def feed(data: bytes) -> None:
        try:
            written = data.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError:
            return
        try:
            found = policy.parse(written, _PATH)
        except PolicyError as error:
            _check(error)
            return
        for mail in mails:
            judge(found.rules, mail, "bob@example.com")
        try:
            policy.changed(written, policy.Level.USER, "eve@example.com", "enabled", True)
        except PolicyError as error:
            _check(error)

    return feed


def _check(error: MessengerError) -> None:
    if not str(error).startswith((str(_PATH), "[")):
        raise Broken(f"a refusal that names neither file nor section: {error}") from error


def _examples() -> list[bytes]:
    whole = (ROOT / "config" / "messenger.toml.example").read_text()
    short = "\n".join(line for line in whole.splitlines() if line and not line.startswith("#"))
    return [short.encode()]


SETTINGS = Target(_settings, _examples, _TOML, size=50_000, places=PLACES)
POLICY = Target(
    _policy,
    lambda: [*(one.encode() for one in _RULES), (ROOT / "messenger" / "templates" / "gateway.toml").read_bytes()],
    (*_TOML, b"[[rule]]\n", b"[rule.header]\n", b"(a+)+$", b"(?i)", b"\\b", b"{1,99999}", b"(?P<n>x)", b"*", b"?"),
    size=50_000,
)
