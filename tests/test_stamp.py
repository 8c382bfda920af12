"""One empty file under many names."""

import errno
import os
import threading

import pytest

from messenger_milter import stamp as module
from messenger_milter.stamp import Stamp


@pytest.fixture
def stamp(tmp_path):
    return Stamp(tmp_path)


def names(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_names_share_one_empty_file(stamp, tmp_path):
    stamp.put(f"{tmp_path}/one")
    stamp.put(f"{tmp_path}/two")

    assert names(tmp_path) == ["one", "two"]
    assert (tmp_path / "one").samefile(tmp_path / "two")
    assert (tmp_path / "one").stat().st_size == 0
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o600


def test_a_name_that_is_there_is_left_alone(stamp, tmp_path):
    (tmp_path / "one").write_text("mine")

    stamp.put(f"{tmp_path}/one")

    assert (tmp_path / "one").read_text() == "mine"


@pytest.mark.parametrize("number", [errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP])
def test_where_the_file_can_have_no_more_names_a_file_is_made(stamp, tmp_path, monkeypatch, number):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(module.os, "link", refuse)

    stamp.put(f"{tmp_path}/one")
    stamp.put(f"{tmp_path}/two")

    assert names(tmp_path) == ["one", "two"]


def test_a_file_used_up_is_followed_by_a_new_one(stamp, tmp_path, monkeypatch):
    link = os.link

    def once_full(*words: object, **options: object) -> None:
        monkeypatch.setattr(module.os, "link", link)
        raise OSError(errno.EMLINK, "Too many links")

    stamp.put(f"{tmp_path}/one")
    monkeypatch.setattr(module.os, "link", once_full)
    stamp.put(f"{tmp_path}/two")
    stamp.put(f"{tmp_path}/three")

    assert names(tmp_path) == ["one", "three", "two"]
    assert not (tmp_path / "one").samefile(tmp_path / "three")


def test_a_file_somebody_removed_is_made_anew(stamp, tmp_path):
    stamp.put(f"{tmp_path}/one")
    for path in tmp_path.glob(".stamp-*"):
        path.unlink()

    stamp.put(f"{tmp_path}/two")
    stamp.put(f"{tmp_path}/three")

    assert names(tmp_path) == ["one", "three", "two"]


def test_each_day_has_a_file_of_its_own(stamp, tmp_path, monkeypatch):
    now = module.time.monotonic()
    stamp.put(f"{tmp_path}/one")
    monkeypatch.setattr(module.time, "monotonic", lambda: now + module.DAY_SECONDS + 60)

    stamp.put(f"{tmp_path}/two")

    assert not (tmp_path / "one").samefile(tmp_path / "two")


def test_a_missing_folder_is_said(stamp, tmp_path):
    with pytest.raises(FileNotFoundError):
        stamp.put(f"{tmp_path}/nowhere/one")


def test_many_threads_make_every_name(stamp, tmp_path):
    threads = [
        threading.Thread(target=lambda n=n: [stamp.put(f"{tmp_path}/{n}-{i}") for i in range(50)]) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(names(tmp_path)) == 400
    assert len(list(tmp_path.glob(".stamp-*"))) == 1
