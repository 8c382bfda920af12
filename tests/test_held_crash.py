"""Notices that wait for their hour, while something crashes or others work in the same folder: none is lost."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import threading
from pathlib import Path

import pytest

from messenger.notify import Notice
from messenger_milter.held import CLAIM_SECONDS, HOUR_SECONDS, Held

from .held_fixtures import ANN, LATER, NOW, folder_fixture, given_out, held_fixture, raising  # noqa: F401


class Crash(BaseException):
    """What no except clause of ours catches: the process is gone."""


@pytest.mark.parametrize("point", ["before", "after"])
def test_a_crash_while_sending_costs_a_second_notice_never_the_only_one(folder, point):
    first = Held(folder)
    first.keep(ANN)
    sent = []

    def tell(notice):
        if point == "after":
            sent.append(notice)
        raise Crash

    with pytest.raises(Crash):
        first.give_out(NOW, tell)
    second = Held(folder)

    assert given_out(second, NOW + CLAIM_SECONDS - 1) == []  # who knows, it may still be at it
    assert given_out(second, NOW + CLAIM_SECONDS) == [ANN]
    assert given_out(second, NOW + 10 * HOUR_SECONDS) == []


def test_of_what_a_crash_left_and_a_later_one_the_later_is_sent(folder):
    first = Held(folder)
    first.keep(ANN)
    with pytest.raises(Crash):
        first.give_out(NOW, raising(Crash))
    first.keep(LATER)

    assert given_out(Held(folder), NOW + CLAIM_SECONDS) == [LATER]
    assert given_out(Held(folder), NOW + 10 * HOUR_SECONDS) == []


@pytest.mark.parametrize("call", ["rename", "link", "utime", "unlink", "fsync", "open"])
@pytest.mark.parametrize("count", range(6))
def test_a_crash_at_any_system_call_loses_nothing(folder, monkeypatch, call, count):
    Held(folder).keep(ANN)
    sent, left = [], [count]
    real = getattr(os, call)

    def crashing(*arguments, **keywords):
        if left[0] == 0:
            raise Crash
        left[0] -= 1
        return real(*arguments, **keywords)

    monkeypatch.setattr(os, call, crashing)
    with contextlib.suppress(Crash):
        Held(folder).give_out(NOW, sent.append)
    monkeypatch.undo()
    for hour in range(1, 4):
        sent += given_out(Held(folder), NOW + hour * HOUR_SECONDS)

    assert ANN in sent
    assert len(sent) <= 2


def _serve(folder: Path, out: Path, rounds: int) -> None:
    held = Held(folder)

    def tell(notice: Notice) -> None:
        with (out / f"{os.getpid()}").open("a") as file:
            file.write(f"{notice.to}\n")

    for number in range(rounds):
        held.give_out(NOW + number, tell)


def test_several_processes_send_each_notice_once(folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    addresses = [f"p{number}@example.org" for number in range(100)]
    held = Held(folder)
    for address in addresses:
        held.keep(dataclasses.replace(ANN, to=address))
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_serve, args=(folder, out, 20)) for _ in range(4)]

    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    assert sorted("".join(path.read_text() for path in out.iterdir()).split()) == sorted(addresses)


def test_threads_that_keep_while_another_gives_out_lose_nothing(held):
    told, stop = [], threading.Event()

    def give():
        now = NOW
        while not stop.is_set():
            held.give_out(now, told.append)
            now += HOUR_SECONDS

    def keep(address):
        for number in range(100):
            held.keep(dataclasses.replace(ANN, to=address, reference=str(number)))

    addresses = [f"p{number}@example.org" for number in range(4)]
    keepers = [threading.Thread(target=keep, args=(address,)) for address in addresses]
    giver = threading.Thread(target=give)
    for thread in (giver, *keepers):
        thread.start()
    for keeper in keepers:
        keeper.join()
    stop.set()
    giver.join()
    held.give_out(NOW + 10**8, told.append)

    # For each the last of all was the last that was sent, and none came twice.
    assert {notice.to: notice.reference for notice in told} == dict.fromkeys(addresses, "99")
    assert len(set(told)) == len(told)
