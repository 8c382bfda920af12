"""Doctor: the certificates of both ends of the tunnel. Dates, keys that fit, and whether the two ends mean the same."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from ..errors import MessengerError
from ..tunnel import fingerprint
from ..tunnel.keys import load_certificate, load_key
from .doctor_finding import Finding, Host, denied, fail, ok, skip, warn
from .rows import moment

CHECK = "certificates"
ENDS = "both ends"
DAY_SECONDS = 86_400
SOON_DAYS = 60


@dataclass(frozen=True)
class Dated:
    """One certificate."""

    path: Path
    #: "sender", "recipient", "signing".
    role: str
    mark: str
    #: Unix seconds.
    begins: int
    ends: int
    #: There is a newer one of the same role: this one was left for mail that is still on its way.
    older: bool = False


def look(host: Host) -> Iterator[Finding]:
    for role, paths in _named(host).items():
        for number, path in enumerate(paths):
            try:
                yield judge(dated(path, role, older=number > 0), host.now)
            except MessengerError as error:
                if denied(error):
                    yield skip(CHECK, f"{path}: this user can't read it; run it as root")
                    return
                yield fail(CHECK, str(error), "restore it from the backup, or: messenger setup --renew-tunnel")


def _named(host: Host) -> dict[str, tuple[Path, ...]]:
    config = host.config
    named: dict[str, tuple[Path, ...]] = {}
    if host.tunnel:
        named["recipient"], named["sender"] = config.tunnel.recipient_certificates, config.tunnel.sender_certificates
    if host.role.gateway:
        known = named.get("sender", ())
        named["gateway sender"] = tuple({config.gateway.sender_certificate} - set(known))
        named["gateway recipient"] = tuple({config.gateway.recipient_certificate} - set(named.get("recipient", ())))
    if host.role.messenger:
        signing = (config.reply.sign_certificate, config.pdf.sign_certificate)
        named["signing"] = tuple(path for path in signing if path is not None)
    return named


def dated(path: Path, role: str, *, older: bool = False) -> Dated:
    """Read one certificate; raises KeyFileError."""
    one = load_certificate(path)
    begins, ends = (int(when.timestamp()) for when in (one.not_valid_before_utc, one.not_valid_after_utc))
    return Dated(path, role, fingerprint(one), begins, ends, older)


def judge(one: Dated, now: int) -> Finding:
    """Judge its dates at *now* (Unix seconds)."""
    mark = one.mark[:16]
    if one.older and one.role in ("sender", "recipient"):
        renew = f"messenger tunnel retire {mark}"
    elif one.role == "signing":
        renew = f"get a new one, put it in place of {one.path}, restart the service"
    else:
        renew = "messenger setup --renew-tunnel, then take the new ones to the gateway (docs/gateway.md)"
    what = f"{one.role} certificate {one.path} ({mark}…)"
    day = moment(one.ends)[:10]
    if now > one.ends:
        text = f"{what}: expired {day}"
        return warn(CHECK, f"{text}, and a newer one is there", renew) if one.older else fail(CHECK, text, renew)
    if now < one.begins:
        return fail(CHECK, f"{what}: valid from {moment(one.begins)} only; is this machine's clock right?", "date -u")
    left = (one.ends - now) // DAY_SECONDS
    if left < SOON_DAYS and not one.older:
        return warn(CHECK, f"{what}: expires in {left} days, {day}", renew)
    return ok(CHECK, f"{what}: until {day}")


def look_at_both_ends(host: Host) -> Iterator[Finding]:
    """Whether the certificate that a gateway here works with is the one that Messenger here knows."""
    config = host.config
    if not host.tunnel:
        gateway = config.gateway
        marks = [_mark(gateway.sender_certificate), _mark(gateway.recipient_certificate)]
        yield skip(ENDS, f"Messenger is elsewhere: compare there, messenger tunnel list: {' and '.join(marks)}")
    elif not host.role.gateway:
        senders = ", ".join(_mark(path) for path in config.tunnel.sender_certificates)
        yield skip(ENDS, f"the gateway is elsewhere: compare there: it signs with {senders}")
    else:
        yield judge_ends(
            "signs with",
            config.gateway.sender_certificate,
            _mark(config.gateway.sender_certificate),
            [_mark(path) for path in config.tunnel.sender_certificates],
        )
        yield judge_ends(
            "encrypts to",
            config.gateway.recipient_certificate,
            _mark(config.gateway.recipient_certificate),
            [_mark(path) for path in config.tunnel.recipient_certificates],
        )
    yield from _halves(host)


def judge_ends(does: str, path: Path, mark: str, known: Sequence[str]) -> Finding:
    """Judge whether the gateway's certificate is one of those that Messenger knows."""
    if mark in known:
        return ok(ENDS, f"the gateway {does} {mark}, which Messenger knows")
    text = f"the gateway {does} {mark} ({path}), Messenger knows {', '.join(known) or 'none'}: all its mail is refused"
    if does == "signs with":
        return fail(ENDS, text, f"messenger tunnel import {path} && systemctl reload messenger-milter")
    return fail(ENDS, text, "name the right file: [gateway] recipient_certificate; messenger tunnel list shows them")


def _halves(host: Host) -> Iterator[Finding]:
    """Keys that don't belong to their certificates."""
    config = host.config
    pairs = []
    if host.tunnel:
        pairs += list(zip(config.tunnel.recipient_certificates, config.tunnel.recipient_keys, strict=True))
    if host.role.gateway:
        pairs.append((config.gateway.sender_certificate, config.gateway.sender_key))
    for certificate, key in pairs:
        try:
            fits = _fits(load_certificate(certificate), key)
        except MessengerError:
            continue  # another check says so
        if not fits:
            yield fail(ENDS, f"{key} is not the key of {certificate}: no mail passes", f"restore {key} from the backup")


def _fits(certificate: x509.Certificate, key: Path) -> bool:
    return load_key(key).public_key() == certificate.public_key()


def _mark(path: Path) -> str:
    """The whole fingerprint; or what is wrong, which the other check says better."""
    try:
        return fingerprint(load_certificate(path))
    except MessengerError as error:
        if denied(error):
            raise
        return f"{path.name}, unreadable"
