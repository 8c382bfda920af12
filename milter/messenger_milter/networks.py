"""Ask Postfix from whom it takes mail to anywhere: in stand-alone mode, who may put mail into mailboxes.

A look, not a proof: what other settings of Postfix let in, and what stands in tables, is not looked into.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import subprocess
from collections.abc import Sequence

#: A mail server and its spares; more addresses than these are a network of other people's machines.
FEW = 16
POSTCONF_SECONDS = 5.0
# Postfix's commands live where ordinary users don't look.
_PATH = os.environ.get("PATH", "") + os.pathsep + "/usr/sbin"


def warnings(sendmail: Sequence[str]) -> list[str]:
    """What is dangerous about ``mynetworks`` of the Postfix of *sendmail*; nothing if it can't be asked."""
    found = wide(_mynetworks(sendmail))
    if not found:
        return []
    return [
        f"Postfix takes mail from all of {', '.join(found)} (mynetworks): in stand-alone mode each machine there can"
        " put mail into mailboxes, in anybody's name. Let in your own mail server alone (docs/milter.md)"
    ]


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


def _mynetworks(sendmail: Sequence[str]) -> str:
    """Ask postconf(1); where sendmail(1) is told the instance by ``-C``, ask that one."""
    postconf = shutil.which("postconf", path=_PATH)
    if postconf is None:
        return ""
    words = list(sendmail)
    where = ["-c", words[words.index("-C") + 1]] if "-C" in words[:-1] else []
    try:
        asked = subprocess.run(
            [postconf, *where, "-xh", "mynetworks"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=POSTCONF_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout if asked.returncode == 0 else ""
