"""What tests of notices that wait share: notices, a folder for them, and what comes out."""

from __future__ import annotations

import dataclasses

import pytest

from messenger.notify import Notice
from messenger_milter.held import Held

NOW = 1_800_000_000
ANN = Notice("ann@example.org", "Sam", "sam@example.com", "K7QF-M2XA", "", "<1@portal.example>")
LATER = dataclasses.replace(ANN, sender_name="Eve", message_id="<2@portal.example>")


@pytest.fixture(name="folder")
def folder_fixture(tmp_path):
    return tmp_path / "ledger" / "held"


@pytest.fixture(name="held")
def held_fixture(folder):
    return Held(folder)


def given_out(held, now=NOW):
    """The notices that were given out at *now*."""
    told = []
    assert held.give_out(now, told.append) == len(told)
    return told


def raising(error):
    def call(*_):
        raise error

    return call
