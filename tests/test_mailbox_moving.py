"""Many messages moved and removed at once, while other programs do the same."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from messenger.mailbox import NoSuchMessage
from messenger.maildir import Folder

from .mailbox_fixtures import NAME, RAW, anna_fixture, files, names, root_fixture  # noqa: F401


def put(mailbox, count, folder="", flags=""):
    all_ = [f"{at:064x}" for at in range(count)]
    for name in all_:
        mailbox.deliver(RAW, name, folder, flags)
    return all_


def test_many_are_moved_with_their_flags_and_dates(anna):
    unread, read = put(anna, 2)
    anna.flag(read, add="FS")
    os.utime(anna.root / "cur" / f"{read}:2,FS", (1_700_000_000, 1_700_000_000))

    assert anna.move_all([unread, read, "never-there", "../x", read], "", "Archive") == {unread: "", read: "FS"}

    assert anna.list() == []
    assert {(entry.name, entry.flags) for entry in anna.list("Archive")} == {(unread, ""), (read, "FS")}
    assert 1_700_000_000 in {entry.received for entry in anna.list("Archive")}
    assert anna.move_all([read], "Nowhere", "Archive") == {}


def test_a_message_that_lies_in_both_folders_is_one_after_a_move(anna):
    anna.deliver(RAW, NAME, "Archive", "F")
    anna.deliver(RAW, NAME, flags="S")

    anna.move(NAME, "", "Archive")

    assert anna.list() == []
    assert [entry.flags for entry in anna.list("Archive")] == ["F"]


def test_an_imap_servers_keywords_stay_with_the_folder_that_knows_them(anna):
    anna.deliver(RAW, NAME, flags="S")
    (anna.root / "cur" / f"{NAME}:2,S").rename(anna.root / "cur" / f"{NAME}:2,Sac")

    assert anna.move_all([NAME], "", "Archive") == {NAME: "S"}
    assert names(anna.list("Archive")) == [NAME]


def test_what_is_removed_is_gone_and_the_rest_stays(anna):
    first, second, third = put(anna, 3)
    anna.flag(second, add="S")
    (anna.root / "cur" / f"{second}:2,S").rename(anna.root / "cur" / f"{second}:2,SXz")  # flags of another program

    assert anna.remove_all([first, second, "never-there", ".", "a/b"], "") == {first, second}
    assert names(anna.list()) == [third]
    anna.remove(third, "")
    for folder in ("", "Nowhere"):
        with pytest.raises(NoSuchMessage):
            anna.remove(third, folder)
    assert files(anna) == []


def test_a_removed_message_stays_removed_after_a_power_cut(anna, monkeypatch):
    anna.deliver(RAW, NAME, flags="S")
    order = []
    unlink, fsync = os.unlink, os.fsync

    def noted_unlink(name, **where):
        order.append(("unlink", str(name)))
        unlink(name, **where)

    def noted_fsync(directory):
        order.append(("fsync", Path(f"/proc/self/fd/{directory}").readlink().name))
        fsync(directory)

    monkeypatch.setattr(os, "unlink", noted_unlink)
    monkeypatch.setattr(os, "fsync", noted_fsync)

    anna.remove(NAME, "")

    assert ("fsync", "cur") in order[order.index(("unlink", f"{NAME}:2,S")) :]


def test_two_copies_of_one_mail_go_together(anna):
    anna.deliver(RAW, NAME)
    anna.deliver(RAW, "other", flags="S")
    (anna.root / "cur" / f"{NAME}:2,F").write_bytes(RAW)

    anna.remove(NAME, "")

    assert names(anna.list()) == ["other"]


def test_the_whole_folder_is_emptied_of_messages_and_of_nothing_else(anna):
    put(anna, 3, "Trash", "S")
    anna.deliver(RAW, NAME, "Trash")
    (anna.root / ".Trash" / "dovecot-uidlist").write_text("1")
    (anna.root / ".Trash" / "cur" / "folder:2,").mkdir()

    assert anna.empty("Trash") == 4
    assert files(anna, ".Trash") == ["dovecot-uidlist", "maildirfolder"]
    assert anna.empty("Trash") == anna.empty("Nowhere") == 0


def test_a_message_is_found_in_the_first_folder_that_has_it(anna):
    anna.deliver(RAW, NAME, "Archive", "S")
    anna.deliver(RAW, NAME, "Trash", "S")
    anna.deliver(RAW, "odd", "Sent", "S")
    (anna.root / ".Sent" / "cur" / "odd:2,S").rename(anna.root / ".Sent" / "cur" / "odd:2,SXz")

    assert anna.find(NAME, ["", "Nowhere", "Archive", "Trash"]) == "Archive"
    assert anna.find("odd", ["", "Archive", "Sent"]) == "Sent"
    assert anna.find("never-there", ["", "Archive"]) is None
    assert anna.find("../x", ["", "Archive"]) is None


def test_moving_looks_through_the_folder_once_however_many_are_gone(anna, monkeypatch):
    there = put(anna, 3)
    listings = []
    monkeypatch.setattr(Folder, "file_of_slowly", lambda *_: pytest.fail("listed for each"))
    listed = Folder.names
    monkeypatch.setattr(Folder, "names", lambda place: listings.append(1) or listed(place))

    assert set(anna.move_all([*there, *(f"gone{at}" for at in range(50))], "", "Archive")) == set(there)
    assert len(listings) == 1


def test_a_folder_is_no_folder_of_ours_where_its_name_is_no_text(anna):
    anna.deliver(RAW, NAME, "Grüße \u202e")
    (anna.root / os.fsdecode(b".\xff\xfe")).mkdir()
    (anna.root / ("." + "x" * 201)).mkdir()

    assert anna.folders() == ["", "Grüße \u202e"]


def test_everybody_moves_and_flags_at_once_and_each_message_is_there_once(anna):
    there = put(anna, 40, flags="S")
    folders = ["", "Archive", "Trash", "Sent"]

    def work(seed):
        for at in range(12):
            part = there[(seed * 7 + at * 3) % 40 :][:9]
            source, target = folders[(seed + at) % 4], folders[(seed + at + 1) % 4]
            anna.move_all(part, source, target)
            for name in part[:3]:
                folder = anna.find(name, folders)
                if folder is not None:
                    try:
                        anna.flag(name, add="F", folder=folder)
                    except NoSuchMessage:
                        continue

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))

    assert sorted(entry.name for folder in folders for entry in anna.list(folder)) == there
