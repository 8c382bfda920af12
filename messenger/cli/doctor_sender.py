"""Doctor: whether the world believes that our notices are ours. SPF, DKIM and DMARC of the address they come from.

With DMARC (RFC 7489) one of two is enough: SPF passes for the envelope's domain, which here is that of From; or a
signature of that domain (DKIM). Which selector somebody signs with no record tells, so of DKIM only the signer is seen.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..envelope import domain_of
from . import doctor_postfix, postfix
from .doctor_dns import NoAnswer, NoResolver, Resolver
from .doctor_finding import Finding, Host, fail, ok, skip, warn
from .doctor_spf import Result, evaluate

CHECK = "sender of notices"
#: What is known to sign mail: by name, or by the ports in everybody's instructions.
_SIGNERS = re.compile(r"dkim|openarc|rspamd|:(8891|12301|11332)\b", re.IGNORECASE)
#: RFC 2606 and RFC 6762: nobody sends mail to the world from there.
_NO_DOMAIN = re.compile(r"(^|\.)(localhost|local|test|invalid|example)$|(^|\.)example\.(com|net|org)$")


@dataclass(frozen=True)
class Standing:
    """What the world sees of a domain that we send as."""

    domain: str
    #: Of each address that this host sends from.
    spf: dict[str, Result]
    #: The policy of DMARC: "none", "quarantine", "reject"; "" for no record.
    dmarc: str
    signs: bool
    #: Somebody else hands our mail to the world.
    relay: str = ""


def look(host: Host) -> Iterator[Finding]:
    domain = domain_of(host.config.notice.mail_from)
    if _NO_DOMAIN.search(domain):
        yield skip(CHECK, f"{domain} is no domain of the world's")
        return
    try:
        yield from judge(_standing(host, domain, Resolver()))
    except NoResolver as error:
        yield skip(CHECK, str(error))
    except NoAnswer as error:
        yield warn(CHECK, str(error), f"dig +trace TXT {domain}")


def _standing(host: Host, domain: str, resolver: Resolver) -> Standing:
    name, relay, signs = "", host.config.notice.smtp, False
    found = doctor_postfix.here(host)
    if found is not None:
        folder = found.folder
        name = postfix.ask(folder, "-h", "-x", "smtp_helo_name").strip()
        relay = relay or postfix.ask(folder, "-h", "-x", "relayhost").strip()
        milters = postfix.ask(folder, "-h", "-x", "non_smtpd_milters", "smtpd_milters")
        signs = _SIGNERS.search(milters) is not None
    addresses = () if relay or not name else (*resolver.ask(name, "A"), *resolver.ask(name, "AAAA"))
    spf = {address: evaluate(domain, address, resolver.ask) for address in addresses}
    return Standing(domain, spf, _policy(resolver, domain), signs, relay)


def _policy(resolver: Resolver, domain: str) -> str:
    """The policy that counts for *domain*: its own record's, or that of a domain above it (RFC 7489, 6.6.3)."""
    labels = domain.split(".")
    for start in range(len(labels) - 1):
        for text in resolver.ask(f"_dmarc.{'.'.join(labels[start:])}", "TXT"):
            if re.match(r"v=DMARC1\s*;", text):
                sub = re.search(r";\s*sp\s*=\s*(\w+)", text) if start else None
                found = sub or re.search(r";\s*p\s*=\s*(\w+)", text)
                return found[1].lower() if found else "none"
    return ""


def judge(found: Standing) -> Iterator[Finding]:
    domain = found.domain
    mend = f"dig TXT {domain}; name this host there (docs/notice.md), or sign with DKIM"
    bad = {address: result for address, result in found.spf.items() if result is not Result.PASS}
    if found.relay:
        yield skip(CHECK, f"mail leaves by {found.relay}, whose address SPF of {domain} must allow; not tried here")
    elif not found.spf:
        yield skip(
            CHECK, "the address that this host sends from is unknown (smtp_helo_name has none), so SPF was not tried"
        )
    elif all(result is Result.NONE for result in bad.values()) and bad:
        yield warn(CHECK, f"{domain} has no SPF record: many will take notices for spam", mend)
    elif bad:
        said = ", ".join(f"{address}: {result.value}" for address, result in bad.items())
        refused = any(result in (Result.FAIL, Result.BROKEN) for result in bad.values())
        text = f"SPF of {domain} does not let this host send ({said}): notices go to spam, or are refused"
        yield (fail if refused and not found.signs else warn)(CHECK, text, mend)
    else:
        yield ok(CHECK, f"SPF of {domain} lets {', '.join(found.spf)} send")
    if not found.dmarc:
        text = f"{domain} has no DMARC record: anybody can send as {domain}, and large providers mistrust notices"
        yield warn(CHECK, text, f'a TXT record of _dmarc.{domain}: "v=DMARC1; p=none; rua=mailto:postmaster@{domain}"')
    elif found.dmarc == "none" or found.signs or (found.spf and not bad):
        how = "a DKIM signer is asked" if found.signs else "SPF stands for it alone; forwarded notices fail"
        yield ok(CHECK, f"DMARC of {domain}: {found.dmarc}; {how}")
    elif found.spf:
        text = f"DMARC of {domain} says {found.dmarc}, and neither SPF nor a DKIM signature stands for notices"
        yield fail(CHECK, text, mend)
