"""Which ends of the tunnel are on this host: what setup was told, what it found, and what of both goes together."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import click

from . import status
from .questions import Answers


class Role(Enum):
    """What setup makes of this host."""

    MESSENGER = "messenger"
    GATEWAY = "gateway"
    BOTH = "both"

    @property
    def messenger(self) -> bool:
        """Messenger is here: what opens tunnel mail, and the portal."""
        return self is not Role.GATEWAY

    @property
    def gateway(self) -> bool:
        """messenger-gateway is here."""
        return self is not Role.MESSENGER


@dataclass(frozen=True)
class Parts:
    """What is on disk: a policy is a gateway's, a recipient key Messenger's. The settings are written last."""

    settings: bool
    gateway: bool
    messenger: bool

    @property
    def role(self) -> Role | None:
        """What this host is; None for one where there is nothing yet."""
        if self.gateway:
            return Role.BOTH if self.messenger else Role.GATEWAY
        return Role.MESSENGER if self.messenger or self.settings else None


def found(folder: Path, current: Answers) -> Parts:
    """Look what is there, where the settings in *folder* say that it lies, and say *current*."""
    policy = current.get(("gateway", "policy")) or "gateway.toml"
    keys = current.get(("tunnel", "recipient_keys")) or ["keys/webmail-recipient.key"]
    return Parts(
        settings=bool(current),
        gateway=isinstance(policy, str) and (folder / policy).exists(),
        # In stand-alone mode Messenger's end has no recipient key.
        messenger=current.get(("intake", "mode")) == "standalone"
        or (isinstance(keys, list) and any((folder / str(key)).exists() for key in keys)),
    )


def chosen(given: str | None, now: Role | None, folder: Path, *, ask: bool) -> Role:
    """Return the role to set up. Raises Failed for one that would break what is there."""
    if given is None and now is None and ask:
        click.echo("messenger: opens protected mail and shows it; gateway: sends it there from another host.")
        roles = click.Choice([role.value for role in Role])
        given = click.prompt("What this host is to be", type=roles, default=Role.MESSENGER.value)
    role = Role(given) if given else now or Role.MESSENGER
    if now in (None, role) or (now is Role.MESSENGER and role is Role.BOTH):
        return role
    raise status.Failed(f"{folder}: {_WRONG[now, role]}", status.USAGE)


_APART = "a gateway is there, with the keys of a Messenger elsewhere; name another folder (--config), or move it away"
_WRONG: Mapping[tuple[Role | None, Role], str] = {
    (Role.MESSENGER, Role.GATEWAY): "there is Messenger's end, with a recipient key; for both on one host: --role both",
    (Role.BOTH, Role.GATEWAY): "there is Messenger's end, too, with a recipient key; say --role both",
    (Role.BOTH, Role.MESSENGER): "there is a gateway, too, with a policy; say --role both, or move the policy away",
    (Role.GATEWAY, Role.MESSENGER): _APART,
    (Role.GATEWAY, Role.BOTH): _APART,
}
