"""Tell systemd how a service fares (sd_notify(3)), where systemd wants to know."""

import logging
import os
import socket

log = logging.getLogger(__name__)

VARIABLE = "NOTIFY_SOCKET"


def sd_notify(state: str) -> None:
    """Send *state*, such as "READY=1". Without systemd nothing happens; a failure is a line in the log."""
    address = os.environ.get(VARIABLE, "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as systemd:
        try:
            systemd.sendto(state.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)
        except OSError as error:
            log.warning("systemd could not be told %s: %s", state, error)
