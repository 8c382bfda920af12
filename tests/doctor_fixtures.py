"""A site for messenger doctor to look at, and what its findings say."""

import time
from pathlib import Path

import pytest

from messenger import config
from messenger.cli.doctor_finding import Host
from messenger.cli.roles import Role


@pytest.fixture(name="host")
def host_fixture(made_site, site):
    """A site with a mail root of its own, too."""
    (site / "messenger.toml").write_text((site / "messenger.toml").read_text().replace(f"{made_site}/", f"{site}/"))
    return host_of(site)


def host_of(site: Path, role: Role = Role.MESSENGER, **changed) -> Host:
    found = config.load(site / "messenger.toml")
    return Host(found, site / "messenger.toml", role, None, changed.get("now", int(time.time())))


def levels(findings) -> list[str]:
    return [one.level.value for one in findings]


def only(findings):
    (one,) = findings
    return one
