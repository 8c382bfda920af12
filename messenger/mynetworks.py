"""Whom Postfix's ``mynetworks`` let in, as text: how far an entry reaches. Asks nobody."""

import ipaddress
import re

#: A mail server and its spares; more addresses than these are a network of other people's machines.
FEW = 16


def wide(mynetworks: str) -> list[str]:
    """Return the entries of *mynetworks* that hold more addresses than a mail server has; loopback aside."""
    return [entry for entry in re.split(r"[,\s]+", mynetworks) if _is_wide(entry)]


def _is_wide(entry: str) -> bool:
    if entry == "static:all":
        return True
    try:
        network = ipaddress.ip_network(entry.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        return False  # a table, a file, an exception
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    loopback = network.network_address.is_loopback or (mapped is not None and mapped.is_loopback)
    return network.num_addresses > FEW and not (loopback and network.prefixlen >= 8)


def danger(entries: list[str]) -> str:
    """Say what it means in stand-alone mode that *entries* are let in."""
    return (
        f"Postfix takes mail from all of {', '.join(entries)} (mynetworks): in stand-alone mode each machine there can"
        " put mail into mailboxes, in anybody's name. Let in your own mail server alone (docs/milter.md)"
    )
