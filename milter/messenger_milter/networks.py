"""Ask Postfix from whom it takes mail to anywhere: in stand-alone mode, who may put mail into mailboxes.

A look, not a proof: what other settings of Postfix let in, and what stands in tables, is not looked into.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from messenger.mynetworks import danger, wide

POSTCONF_SECONDS = 5.0
# Postfix's commands live where ordinary users don't look.
_PATH = os.environ.get("PATH", "") + os.pathsep + "/usr/sbin"


def warnings(sendmail: Sequence[str]) -> list[str]:
    """What is dangerous about ``mynetworks`` of the Postfix of *sendmail*; nothing if it can't be asked."""
    found = wide(_mynetworks(sendmail))
    return [danger(found)] if found else []


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
