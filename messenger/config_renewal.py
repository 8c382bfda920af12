"""Read the settings again while a service runs: what SIGHUP asks for. A wrong file leaves all as it was.

What is bound to the start of a process (a socket, a folder that others work in) stays, and a line in the log says so.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from .config import Config, load
from .errors import MessengerError
from .sd_notify import reloading

log = logging.getLogger(__name__)


def read_again(path: Path | None, now: Config, fixed: Mapping[str, tuple[str, ...]]) -> Config:
    """Return the settings as the file says them by now, but what is *fixed* (keys by section) as in *now*.

    Raises ConfigError for a file that can't be used.
    """
    found = load(path)
    for section, keys in fixed.items():
        old, new = getattr(now, section), getattr(found, section)
        for key in keys:
            if getattr(old, key) != getattr(new, key):
                log.warning("[%s] %s was changed: that counts after a restart", section, key)
        found = replace(found, **{section: replace(new, **{key: getattr(old, key) for key in keys})})
    return found


def renewed(renew: Callable[[], object]) -> bool:
    """Call *renew*, which changes nothing where it raises, and tell log and systemd; whether it did all."""
    with reloading():
        try:
            renew()
        except MessengerError as error:
            text = "; ".join(line.strip() for line in str(error).splitlines())
            log.error("not reloaded, all goes on as before: %s", text)
            return False
        except Exception as error:  # a fault of ours must not stop a service that works
            log.error("not reloaded, all goes on as before: %s", type(error).__name__, exc_info=error)
            return False
        log.info("reloaded: settings, certificates and templates")
        return True
