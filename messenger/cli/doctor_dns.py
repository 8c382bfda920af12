"""Doctor: ask the DNS, with short patience. dnspython, because the system's own resolver knows no TXT records."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import dns.exception
import dns.rdatatype
import dns.resolver

from ..errors import MessengerError
from .doctor_finding import Finding, Host, fail, ok, skip, warn

CHECK = "name of the portal"
SECONDS = 1.5
_HERE = ("localhost", "127.0.0.1", "[::1]")


class NoResolver(MessengerError):
    """Nobody answers questions about names here."""

    temporary = True


class NoAnswer(MessengerError):
    """The resolver answers, but has no answer to this question (SERVFAIL)."""

    temporary = True


class Resolver:
    """Asks the name servers of this machine."""

    def __init__(self, server: tuple[str, int] | None = None) -> None:
        """Ask those that /etc/resolv.conf names, or the one at *server*: its address and port."""
        try:
            self._resolver = dns.resolver.Resolver(configure=server is None)
        except dns.exception.DNSException as error:
            raise NoResolver(f"no name server in /etc/resolv.conf ({error})") from error
        if server is not None:
            self._resolver.nameservers, self._resolver.port = [server[0]], server[1]
        self._resolver.lifetime = self._resolver.timeout = SECONDS

    def ask(self, name: str, kind: str) -> tuple[str, ...]:
        """Return the records of *kind* ("A", "TXT", "MX") as text; none where there are none."""
        try:
            answer = self._resolver.resolve(name, kind, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, dns.name.EmptyLabel, dns.name.LabelTooLong):
            return ()
        except dns.resolver.NoNameservers as error:
            if any("SERVFAIL" in str(tried[-2:]) for tried in error.kwargs.get("errors", ())):
                raise NoAnswer(
                    f"{name}: the resolver can't find out (SERVFAIL; its zone or DNSSEC is broken)"
                ) from error
            raise NoResolver("no name server answers here") from error
        except dns.exception.DNSException as error:
            raise NoResolver(f"no name server answers within {SECONDS:g} seconds") from error
        return tuple(_text(record) for record in answer)


def _text(record: object) -> str:
    strings = getattr(record, "strings", None)
    if strings is not None:
        return b"".join(strings).decode("utf-8", "replace")
    exchange = getattr(record, "exchange", None)
    return str(record if exchange is None else exchange).rstrip(".")


def look(host: Host) -> Iterator[Finding]:
    name = urlsplit(host.config.site.portal_url).hostname or ""
    if name in _HERE:
        yield skip(CHECK, f"{name} is for this machine alone")
        return
    try:
        resolver = Resolver()
        yield judge(name, (*resolver.ask(name, "A"), *resolver.ask(name, "AAAA")))
    except NoResolver as error:
        yield skip(CHECK, str(error))
    except NoAnswer as error:
        yield warn(CHECK, str(error), f"dig +trace {name}")


def judge(name: str, addresses: tuple[str, ...]) -> Finding:
    if not addresses:
        text = f"{name}: the DNS knows no address; nobody reaches the portal, links in notices lead nowhere"
        return fail(CHECK, text, f"dig {name}; add A and AAAA records, or mend [site] portal_url")
    return ok(CHECK, f"{name} is {', '.join(addresses)}")
