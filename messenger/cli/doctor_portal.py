"""Doctor: the portal as people meet it. TLS of the web server, and the reader behind it."""

import http.client
import socket
import ssl
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography import x509

from .doctor_finding import Finding, Host, fail, ok, skip, warn
from .rows import moment

TLS, READER = "TLS of the portal", "reader"
SECONDS = 1.5
DAY_SECONDS = 86_400
#: Who renews by itself does so 30 days before the end; after this, it doesn't.
SOON_DAYS = 14
HTTPS = 443


@dataclass(frozen=True)
class Tls:
    """What the web server shows."""

    host: str
    #: "" where no connection came about at all; then *trouble* says why.
    version: str
    #: Why its certificate is not believed, or "".
    trouble: str
    #: Unix seconds.
    ends: int = 0
    #: It still takes TLS 1.0 or 1.1.
    old: bool = False
    #: What it answers for /healthz; 0 where nothing.
    status: int = 0


def look_at_tls(host: Host) -> Iterator[Finding]:
    url = urlsplit(host.config.site.portal_url)
    if url.scheme != "https":
        yield skip(TLS, f"{host.config.site.portal_url} has none; it is for trying on this machine alone")
        return
    yield judge_tls(probe(url.hostname or "", url.port or HTTPS), host.now)


def probe(host: str, port: int, roots: str | None = None) -> Tls:
    """Connect as a browser does; *roots* are other roots to believe than the system's, for tests."""
    context = ssl.create_default_context(cafile=roots)
    try:
        return _believed(host, port, context)
    except ssl.SSLCertVerificationError as error:
        return Tls(host, "TLS", error.verify_message, _end(host, port))
    except OSError as error:
        return Tls(host, "", error.strerror or str(error) or type(error).__name__)


def _believed(host: str, port: int, context: ssl.SSLContext) -> Tls:
    asked = http.client.HTTPSConnection(host, port, timeout=SECONDS, context=context)
    try:
        asked.connect()
        there = asked.sock
        assert isinstance(there, ssl.SSLSocket)
        ends = x509.load_der_x509_certificate(there.getpeercert(binary_form=True) or b"").not_valid_after_utc
        version, status = there.version() or "", 0
        with suppress(OSError, http.client.HTTPException):
            asked.request("GET", "/healthz")
            status = asked.getresponse().status
    finally:
        asked.close()
    return Tls(host, version, "", int(ends.timestamp()), _takes_old(host, port), status)


def _unchecked() -> ssl.SSLContext:
    """For a look at the certificate, or at versions; nothing is said over it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _end(host: str, port: int) -> int:
    with suppress(OSError, ValueError):
        plain = socket.create_connection((host, port), timeout=SECONDS)
        with _unchecked().wrap_socket(plain, server_hostname=host) as there:
            shown = x509.load_der_x509_certificate(there.getpeercert(binary_form=True) or b"")
            return int(shown.not_valid_after_utc.timestamp())
    return 0


def _takes_old(host: str, port: int) -> bool:
    context = _unchecked()
    with warnings.catch_warnings(), suppress(OSError, ValueError):
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        plain = socket.create_connection((host, port), timeout=SECONDS)
        with context.wrap_socket(plain, server_hostname=host):
            return True
    return False


def judge_tls(found: Tls, now: int) -> Finding:
    web = f"systemctl status nginx; journalctl -u nginx -n 30; getent hosts {found.host}"
    if not found.version:
        return fail(TLS, f"{found.host}: nobody answers: {found.trouble}. Nobody can read mail", web)
    if found.trouble:
        ended = f", ended {moment(found.ends)[:10]}" if 0 < found.ends < now else ""
        text = f"{found.host}: browsers don't believe its certificate ({found.trouble}{ended}) and shut people out"
        return fail(TLS, text, "certbot renew && systemctl reload nginx; does it send the whole chain (fullchain.pem)?")
    if found.status in (502, 503, 504):
        text = f"{found.host}: the web server runs, the reader behind it doesn't answer ({found.status})"
        return fail(TLS, text, "systemctl restart messenger-reader; journalctl -u messenger-reader -n 30")
    left = (found.ends - now) // DAY_SECONDS
    if left < SOON_DAYS:
        text = f"{found.host}: its certificate ends in {left} days; nothing has renewed it"
        return warn(TLS, text, "certbot renew && systemctl reload nginx; systemctl list-timers")
    if found.old:
        text = f"{found.host}: takes TLS 1.0 or 1.1, which are broken"
        return warn(TLS, text, "ssl_protocols TLSv1.2 TLSv1.3; then systemctl reload nginx (config/nginx)")
    return ok(TLS, f"{found.host}: {found.version}, certificate until {moment(found.ends)[:10]} ({left} days)")


def look_at_reader(host: Host) -> Iterator[Finding]:
    listen = host.config.reader.listen
    begun = time.monotonic()
    status, trouble = ask_reader(listen)
    yield judge_reader(listen, status, trouble, time.monotonic() - begun)


def ask_reader(listen: str) -> tuple[int, str]:
    """Ask the reader how it is; return its status, or 0 and why there is none."""
    name, _, port = listen.rpartition(":")
    name = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}.get(name, name.strip("[]"))  # noqa: S104 -- nothing is bound
    asked = http.client.HTTPConnection(name, int(port), timeout=SECONDS * 2)
    try:
        asked.request("GET", "/healthz")
        return asked.getresponse().status, ""
    except TimeoutError:
        return 0, f"no answer within {SECONDS * 2:g} seconds"
    except (OSError, http.client.HTTPException) as error:
        return 0, getattr(error, "strerror", None) or type(error).__name__
    finally:
        asked.close()


def judge_reader(listen: str, status: int, trouble: str, seconds: float) -> Finding:
    mend = "systemctl restart messenger-reader; journalctl -u messenger-reader -n 30"
    if status == 200:
        text = f"answers at {listen} in {seconds * 1000:.0f} ms"
        return ok(READER, text) if seconds < 1 else warn(READER, f"{text}: slow", "uptime; top; [reader] workers")
    if status == 503:
        return fail(READER, f"{listen}: runs, but can't use the accounts; nobody can log in", mend)
    if status:
        return fail(READER, f"{listen}: answers {status}; is that another program?", f"ss -ltnp | grep {listen}")
    return fail(READER, f"{listen}: {trouble}. Nobody can read mail", mend)
