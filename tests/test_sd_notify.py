import os

import pytest

from messenger import sd_notify
from messenger.sd_notify import Watchdog, reloading

from .systemd_fixtures import WATCHDOG_SECONDS, systemd_fixture  # noqa: F401


def test_signs_of_life_are_sent_when_they_are_due_and_not_oftener(systemd, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(sd_notify.time, "monotonic", lambda: now[0])
    watchdog = Watchdog()

    for now[0] in (100.0, 100.1, 100.2, 100.31, 100.4, 100.7):
        watchdog.alive()

    assert watchdog.every == pytest.approx(WATCHDOG_SECONDS / 3)
    monkeypatch.undo()
    systemd.hear()
    assert systemd.heard == ["WATCHDOG=1"] * 3


@pytest.mark.parametrize(
    "changed", [{"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_PID": str(os.getpid() + 1)}]
)
def test_whoever_is_not_asked_shows_no_life(systemd, monkeypatch, changed):
    for name, value in changed.items():
        monkeypatch.setenv(name, value)

    Watchdog().alive()

    assert systemd.hear(0.05) == []


def test_a_reload_ends_with_ready_however_it_went(systemd):
    with pytest.raises(ValueError, match="wrong"), reloading():
        raise ValueError("wrong")

    systemd.hear()
    assert systemd.heard == ["RELOADING=1", "READY=1"]
