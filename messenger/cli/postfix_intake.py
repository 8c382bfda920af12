"""What Postfix needs at Messenger's end so that tunnel mail reaches the milter.

Three things. The milter, asked about each mail that comes by SMTP; while it doesn't answer, Postfix says "later" (451).
The webmail recipient, known to Postfix, whatever it does with that domain. And a dead end behind it: a tunnel mail that
came in past the milter waits in the queue, and goes to nobody.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from ..config import Config
from ..envelope import domain_of
from .postfix import TRANSPORT, VIRTUAL, Postfix, added, knows, milter_address, table

# RFC 2606: never a domain of anybody's.
DEAD_END = "webmail-messenger.invalid"


def tables(postfix: Postfix, config: Config) -> dict[Path, str]:
    """Return the lookup tables."""
    recipient = config.tunnel.webmail_recipient
    domain = domain_of(recipient)
    ours = {domain: "webmail-messenger"} if _apart(postfix, config) and _by_map(postfix) else {}
    return {
        postfix.folder / VIRTUAL: table({recipient: f"not-taken@{DEAD_END}"} | ours),
        # Nobody listens there: whatever gets so far waits in the queue, and its log line says what happened.
        postfix.folder / TRANSPORT: table({DEAD_END: f"lmtp:unix:{_dead_end_socket(config, postfix)}"}),
    }


def parameters(postfix: Postfix, config: Config) -> Mapping[str, str]:
    """Return what main.cf says, but for milters."""
    kind = postfix.meant["default_database_type"]
    wanted = {
        "virtual_alias_maps": added(postfix, "virtual_alias_maps", f"{kind}:{postfix.folder / VIRTUAL}"),
        "transport_maps": added(postfix, "transport_maps", f"{kind}:{postfix.folder / TRANSPORT}"),
    }
    if _apart(postfix, config) and not _by_map(postfix):
        domain = domain_of(config.tunnel.webmail_recipient)
        wanted["virtual_alias_domains"] = added(postfix, "virtual_alias_domains", domain)
    return wanted


def warnings(postfix: Postfix, config: Config) -> Iterator[str]:
    """Say what an administrator has to decide."""
    domain = domain_of(config.tunnel.webmail_recipient)
    if domain in config.site.own_domains and not knows(postfix, domain):
        yield (
            f"{domain} is no domain of this Postfix, so it takes mail to {config.tunnel.webmail_recipient} only from"
            f" mynetworks. If the gateway isn't there, take an address in a domain of its own: messenger setup"
            f" --webmail-recipient webmail@webmail.{domain}"
        )


def _apart(postfix: Postfix, config: Config) -> bool:
    """A domain of its own becomes ours to answer for; one that people have mail in never does."""
    domain = domain_of(config.tunnel.webmail_recipient)
    return not knows(postfix, domain) and domain not in config.site.own_domains


def _by_map(postfix: Postfix) -> bool:
    """By default, a domain that is a key of virtual_alias_maps is a virtual alias domain."""
    return postfix.written["virtual_alias_domains"].strip() == "$virtual_alias_maps"


def _dead_end_socket(config: Config, postfix: Postfix) -> str:
    if config.intake.socket.startswith("inet"):
        return "webmail-messenger/not-taken-by-the-milter"
    address = milter_address(str(Path(config.intake.socket).parent / "not-taken-by-the-milter"), postfix.queue)
    return address.removeprefix("unix:")
