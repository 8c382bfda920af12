"""What is inside mails: found soon, right after every change, and gone with the mail."""

import os
import random
import sqlite3
from email.message import EmailMessage
from email.policy import SMTP
from hashlib import sha256
from pathlib import Path

import pytest

from messenger import cache_folder, message
from messenger.mailbox import Mailbox, MailboxError, mailbox_of
from messenger_reader import index_file, index_search, index_threads, index_words, searching
from messenger_reader.index_contents import first_id
from messenger_reader.index_search import Wanted
from messenger_reader.index_words import TOP
from messenger_reader.mails import Mails
from messenger_reader.search_query import parse
from messenger_reader.searching import Searching

ADDRESS = "alice@example.net"
LONG = 1000.0


@pytest.fixture
def mailbox(tmp_path: Path) -> Mailbox:
    (tmp_path / "mail").mkdir()
    return mailbox_of(tmp_path / "mail", ADDRESS)


@pytest.fixture
def search(tmp_path: Path, mailbox: Mailbox) -> Searching:
    return Searching(mailbox, tmp_path / "cache", ADDRESS, lambda: 4e9)


@pytest.fixture
def mails(tmp_path: Path, mailbox: Mailbox) -> Mails:
    return Mails(mailbox, tmp_path / "cache", ADDRESS, lambda: 4e9)


def mail(subject="Hello", text="Good morning", sender="Bob Burns <bob@example.org>", files=(), **fields: str) -> bytes:
    made = EmailMessage(policy=SMTP)
    made["From"], made["To"], made["Subject"] = sender, "Alice <alice@example.net>", subject
    for name, value in fields.items():
        made[name.replace("_", "-")] = value
    made.set_content(text + "\n")
    for name in files:
        made.add_attachment(b"x", maintype="application", subtype="pdf", filename=name)
    return made.as_bytes()


def deliver(mailbox: Mailbox, raw: bytes, received: int = 0, folder: str = "", flags: str = "") -> str:
    name = sha256(raw).hexdigest()
    mailbox.deliver(raw, name, folder=folder, flags=flags)
    root = mailbox.root / f".{folder}" if folder else mailbox.root
    if received:
        [path] = root.glob(f"*/{name}*")
        os.utime(path, (received, received))
    return name


def many(mailbox: Mailbox, count: int, start: int = 0) -> list[str]:
    """Oldest first, a second apart."""
    return [deliver(mailbox, mail(f"Number {at}", f"about {at}"), 1_700_000_000 + at) for at in range(start, count)]


def hits(search: Searching, typed: str, look: bool = True, **more) -> list[str]:
    if look:
        search.look_into(LONG)
    query = parse(typed)
    wanted = Wanted(query.needed, query.excluded, query.attachment, query.unread, query.starred, **more)
    return [card.subject for card in search.search(wanted, 50, LONG)[0].cards]


def database(tmp_path: Path) -> Path:
    return cache_folder.folder_of(tmp_path / "cache", ADDRESS) / "inbox.sqlite"


def test_a_mail_is_found_by_subject_people_text_and_names_of_files(search, mailbox):
    deliver(mailbox, mail("Annual invoice", "the sum is enclosed", files=["balance sheet.pdf"]))
    deliver(mailbox, mail("Other", "nothing here", sender="Carol <carol@example.com>"))

    for typed in ("invoice", "enclosed", "bob", "from:bob@example.org", '"balance sheet.pdf"', "sheet has:attachment"):
        assert hits(search, typed) == ["Annual invoice"], typed
    assert sorted(hits(search, "to:alice")) == ["Annual invoice", "Other"]
    assert hits(search, "from:alice") == []


def test_filters_say_which_mails_count(search, mailbox):
    deliver(mailbox, mail("Plain", "word"), 1_700_000_000, flags="S")
    deliver(mailbox, mail("Starred", "word"), 1_700_000_100, flags="FS")
    deliver(mailbox, mail("Unread", "word", files=["a.pdf"]), 1_700_000_200)
    deliver(mailbox, mail("Sent", "word"), 1_700_000_300, folder="Sent", flags="S")

    for words in ("", "word "):
        assert hits(search, words + "is:starred") == ["Starred"]
        assert hits(search, words + "is:unread") == ["Unread"]
        assert hits(search, words + "has:attachment") == ["Unread"]
        assert hits(search, words + "-has:attachment is:read -is:starred") == ["Sent", "Plain"]
        assert hits(search, words, folder="Sent") == ["Sent"]
        assert hits(search, words, not_in=("Sent", "")) == []
        assert hits(search, words, low=first_id(1_700_000_200)) == ["Sent", "Unread"]
        assert hits(search, words, high=first_id(1_700_000_200)) == ["Starred", "Plain"]
    assert hits(search, "-starred") == ["Sent", "Unread", "Plain"]


def test_pages_of_hits_hold_every_hit_once_newest_first_over_all_shelves(search, mailbox, monkeypatch):
    monkeypatch.setattr(index_words, "FULL_MAILS", 7)
    names = many(mailbox, 40)
    search.look_into(LONG)
    assert shelf_count(search) > 3

    seen, older = [], TOP
    while older is not None:
        page = search.search(Wanted(parse("about").needed, high=older), 9, LONG)[0]
        seen += [card.name for card in page.cards]
        older = page.older

    assert seen == names[::-1]
    assert not page.unfinished


def shelf_count(search):
    return len(index_file.use(search._path, index_words.shelves))


def test_a_search_whose_time_is_up_says_how_far_it_came_and_goes_on_there(search, mailbox, monkeypatch):
    monkeypatch.setattr(index_words, "FULL_MAILS", 5)
    many(mailbox, 20)
    deliver(mailbox, mail("Rare", "needle"), 1_600_000_000)
    search.look_into(LONG)

    older, pages = TOP, 0
    while True:
        page = search.search(Wanted(parse("needle").needed, high=older), 9, -1)[0]
        pages += 1
        if not page.unfinished:
            break
        older = page.older

    assert [card.subject for card in page.cards] == ["Rare"]
    assert pages > 2


def test_a_shelf_that_is_made_anew_during_a_search_is_searched_as_it_was(search, mails, mailbox, monkeypatch):
    monkeypatch.setattr(index_words, "FULL_MAILS", 5)
    names = many(mailbox, 20)
    search.look_into(LONG)
    mails.remove(names[:1])

    def tidies():
        while search.tidy():
            pass
        return False

    needed = Wanted(parse("about").needed)
    found = index_file.use(search._path, lambda db: index_search.search(db, needed, 50, tidies))

    assert len(found.cards) == 19


def test_old_mail_that_comes_late_is_found_in_its_place(search, mailbox, monkeypatch):
    monkeypatch.setattr(index_words, "FULL_MAILS", 4)
    monkeypatch.setattr(index_words, "BATCH", 4)
    times = list(range(1_700_000_000, 1_700_000_060))
    random.Random(7).shuffle(times)
    for at, moment in enumerate(times):
        deliver(mailbox, mail(f"At {moment}", "word"), moment)
        if at % 5 == 0:
            search.look_into(LONG)
    search.look_into(LONG)
    for _ in range(50):  # until what is overfull is parted
        if not search.tidy():
            break

    page = search.search(Wanted(parse("word").needed), 100, LONG)[0]

    assert [card.received for card in page.cards] == sorted(times, reverse=True)
    shelves = index_file.use(search._path, index_words.shelves)
    assert sum(shelf.mails for shelf in shelves) == 60
    assert max(shelf.mails for shelf in shelves) <= 8


def test_a_mail_in_two_folders_is_one_hit(search, mailbox):
    raw = mail("Twice", "word")
    deliver(mailbox, raw, 1_700_000_000)
    path = mailbox.root / ".Archive" / "cur"
    deliver(mailbox, mail("x"), folder="Archive", flags="S")
    (path / f"{sha256(raw).hexdigest()}:2,S").write_bytes(raw)

    assert hits(search, "twice") == ["Twice"]
    assert hits(search, "twice", folder="Archive") == ["Twice"]


def test_a_moved_mail_is_found_where_it_is_now_and_not_looked_into_again(search, mails, mailbox, monkeypatch):
    name = deliver(mailbox, mail("Moved", "word"))
    search.look_into(LONG)
    monkeypatch.setattr(searching, "contents", lambda _: pytest.fail("looked into it again"))

    mails.move([name], "Archive")

    assert hits(search, "word", folder="Archive") == ["Moved"]
    assert hits(search, "word", folder="") == []


@pytest.mark.parametrize("way", ["by us", "by another program"])
def test_the_words_of_a_deleted_mail_leave_the_file(search, mails, mailbox, tmp_path, way):
    many(mailbox, 30)
    name = deliver(
        mailbox, mail("Zephyrquark", "quagmirewort", sender="Vexillo <vexillo@flotsam.example>", files=["jetsam.pdf"])
    )
    mails.page()
    words = [b"Zephyrquark", b"ephyrquark", b"uagmirewort", b"exillo", b"lotsam", b"etsam"]
    assert hits(search, "quagmirewort") == ["Zephyrquark"]
    assert any(word in database(tmp_path).read_bytes() for word in words)

    if way == "by us":
        mails.remove([name])
    else:
        next(mailbox.root.glob(f"*/{name}*")).unlink()
    search.look_into(LONG)
    while search.tidy():
        pass

    for path in database(tmp_path).parent.glob("inbox.sqlite*"):
        content = path.read_bytes()
        assert not [word for word in words if word.lower() in content.lower()], path
    assert hits(search, "quagmirewort") == []
    assert len(hits(search, "about")) == 30
    assert index_file.use(search._path, lambda db: db.execute("SELECT count(*) FROM body").fetchone()) == (30,)


def test_a_deleted_mail_is_found_no_more_even_before_its_words_have_left(search, mails, mailbox):
    name = deliver(mailbox, mail("Gone", "word"))
    search.look_into(LONG)

    mails.remove([name])

    assert hits(search, "word", look=False) == []
    assert search.progress() == (0, 0)
    deliver(mailbox, mail("Gone", "word"))
    assert hits(search, "word") == ["Gone"]


def test_a_crash_while_a_shelf_is_made_anew_loses_nothing(search, mails, mailbox, monkeypatch):
    names = many(mailbox, 30)
    search.look_into(LONG)
    mails.remove(names[:1])
    monkeypatch.setattr(index_words, "BATCH", 10)
    insert, count = index_words._insert, iter(range(15))

    def dies(*given):
        if next(count, None) is None:
            raise MemoryError
        insert(*given)

    monkeypatch.setattr(index_words, "_insert", dies)
    with pytest.raises(MemoryError):
        search.tidy()
    monkeypatch.setattr(index_words, "_insert", insert)

    assert len(hits(search, "about")) == 29
    assert search.tidy()
    assert not search.tidy()
    assert len(hits(search, "about")) == 29
    tables = index_file.use(search._path, index_words._tables)
    assert len(tables) == 1


def test_a_mail_that_breaks_its_reader_never_stops_the_others(search, mailbox, monkeypatch, caplog):
    bad = deliver(mailbox, mail("Bad"), 1_700_000_001)
    unreadable = deliver(mailbox, mail("Unreadable"), 1_700_000_002)
    deliver(mailbox, mail("Good", "word"), 1_700_000_000)
    look, read = searching.contents, Mailbox.read

    def breaks(raw):
        if b"Subject: Bad" in raw:
            raise RecursionError
        return look(raw)

    def refuses(self, name, folder="", limit=-1):
        if name == unreadable:
            raise MailboxError("no")
        return read(self, name, folder, limit)

    monkeypatch.setattr(searching, "contents", breaks)
    monkeypatch.setattr(Mailbox, "read", refuses)

    assert hits(search, "word") == ["Good"]
    assert search.progress().done == search.progress().total == 2
    assert bad in caplog.text


def test_looking_into_mail_is_bounded_and_goes_on_later_newest_first(search, mailbox):
    many(mailbox, 20)

    assert search.look_into(-1)

    assert search.progress() == (1, 20)
    assert hits(search, "about", look=False) == ["Number 19"]
    assert not search.look_into(LONG)
    assert search.progress() == (20, 20)


def test_of_an_endless_text_so_much_is_kept(search, mailbox):
    text = "\r\n".join(f"word{at}" for at in range(60_000))
    deliver(mailbox, b"Subject: Endless\r\n\r\n" + text.encode())

    assert hits(search, "word0") == ["Endless"]
    assert hits(search, "word59999") == []


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_the_search_finds_what_the_folders_hold(search, mails, mailbox, monkeypatch, seed):
    monkeypatch.setattr(index_words, "FULL_MAILS", 6)
    monkeypatch.setattr(index_words, "BATCH", 3)
    choice, serial = random.Random(seed), iter(range(1000))
    for _ in range(60):
        there = [(entry.name, folder) for folder in mailbox.folders() for entry in mailbox.list(folder)]
        name, folder = choice.choice(there) if there else ("", "")
        match choice.choice(["come", "come", "move", "remove", "foreign", "look", "tidy", "list"]):
            case "come":
                deliver(mailbox, mail(f"Number {next(serial)}", "word"), 1_700_000_000 + choice.randrange(50))
            case "move" if name:
                mails.move([name], choice.choice(["", "Archive", "Trash"]))
            case "remove" if name:
                mails.remove([name])
            case "foreign" if name:
                next((mailbox.root / (f".{folder}" if folder else "")).glob(f"*/{name}*")).unlink()
            case "look":
                search.look_into(choice.choice([-1, LONG]))
            case "tidy":
                search.tidy()
            case "list":
                mails.folders()
    search.look_into(LONG)
    while search.tidy():
        pass

    cards = search.search(Wanted(parse("word").needed), 100, LONG)[0].cards
    truth = {(entry.name, folder) for folder in mailbox.folders() for entry in mailbox.list(folder)}
    assert {(card.name, card.folder) for card in cards} == truth
    assert search.progress() == (len(truth), len(truth))
    kept = index_file.use(search._path, lambda db: db.execute("SELECT count(*) FROM content").fetchone()[0])
    assert kept == len(truth)


def test_only_one_looks_into_a_mailbox_at_a_time(search, mailbox):
    many(mailbox, 2)

    with index_file.alone(search._path):
        assert not search.look_into(LONG)
        assert search.progress().done == 0
    assert not search.look_into(LONG)
    assert search.progress().done == 2


def test_a_broken_index_is_made_anew_and_searched(search, mailbox, tmp_path):
    many(mailbox, 3)
    search.look_into(LONG)
    db = sqlite3.connect(database(tmp_path))
    db.execute("DROP TABLE content")
    db.close()

    hits(search, "about")
    assert len(hits(search, "about")) == 3


# Conversations


def reply(to: str, number: str, references: str = "", subject: str = "Re: x") -> bytes:
    fields = {"Message_ID": f"<{number}@x>"}
    if to:
        fields["In_Reply_To"] = f"<{to}@x>"
    if references:
        fields["References"] = references
    return mail(subject, number, **fields)


@pytest.fixture
def say(mailbox):
    """Deliver mails that come one second after the other, given as number, what it answers, and references."""
    clock = iter(range(1_700_000_000, 1_800_000_000))

    def say(number, to="", references="", folder=""):
        return deliver(mailbox, reply(to, number, references), next(clock), folder, "S" if folder else "")

    return say


def thread(search, name, mailbox):
    search.look_into(LONG)
    return [card.name for card in search.conversation(name, message.read(b"")).cards]


def test_a_conversation_is_what_names_the_same_beginning_oldest_first_with_what_was_sent(search, mailbox, say):
    first = say("1")
    answer = say("2", "1", "<1@x>", folder="Sent")
    third = say("3", "2", "<1@x> <2@x>")
    by_answer_alone = say("4", "3")
    other = say("9")

    for name in (first, answer, third, by_answer_alone):
        assert thread(search, name, mailbox) == [first, answer, third, by_answer_alone]
    assert thread(search, other, mailbox) == [other]


def test_a_conversation_whose_beginning_is_missing_holds_together(search, mailbox, say):
    second = say("2", "1", "<1@x>")
    third = say("3", "2", "<1@x> <2@x>")
    fourth = say("4", "1")

    assert thread(search, third, mailbox) == [second, third, fourth]


def test_a_deleted_mail_leaves_its_conversation(search, mails, mailbox, say):
    first, second, third = say("1"), say("2", "1", "<1@x>"), say("3", "2", "<1@x> <2@x>")
    search.look_into(LONG)

    mails.remove([second])

    assert thread(search, first, mailbox) == [first, third]


def test_a_forged_mail_can_join_one_conversation_and_no_two(search, mailbox, say):
    one, answer = say("1"), say("2", "1", "<1@x>")
    other, other_answer = say("8"), say("9", "8", "<8@x>")
    forged = say("2", "9", "<8@x> <1@x> <2@x>")

    assert thread(search, one, mailbox) == [one, answer]
    assert thread(search, other, mailbox) == [other, other_answer, forged]


def test_cycles_and_endless_references_are_bounded(search, mailbox, say, monkeypatch):
    a, b = say("a", "b"), say("b", "a")
    endless = say("c", "", " ".join(f"<{at}@y>" for at in range(10_000)))
    itself = say("d", "d", "<d@x>")

    assert thread(search, a, mailbox) == thread(search, b, mailbox) == [a, b]
    assert thread(search, endless, mailbox) == [endless]
    assert thread(search, itself, mailbox) == [itself]


def test_of_a_huge_conversation_the_newest_are_shown(search, mailbox, monkeypatch):
    monkeypatch.setattr(index_threads, "SHOWN", 20)
    monkeypatch.setattr(index_threads, "LOOKED_AT", 50)
    names = [deliver(mailbox, mail("One", f"{at}", Message_ID="<same@x>"), 1_700_000_000 + at) for at in range(70)]
    search.look_into(LONG)

    found = search.conversation(names[3], message.read(b""))

    assert found.cut
    assert [card.name for card in found.cards] == [names[3], *names[-19:]]


def test_mails_without_an_id_are_alone(search, mailbox):
    names = [deliver(mailbox, mail("Same subject", f"{at}"), 1_700_000_000 + at) for at in range(3)]

    assert [thread(search, name, mailbox) for name in names] == [[name] for name in names]


def test_a_mail_that_is_shown_is_looked_into_at_once(search, mails, mailbox):
    raw = mail("One", Message_ID="<1@x>")
    name = deliver(mailbox, raw)
    mails.page()

    assert [card.name for card in search.conversation(name, message.read(raw)).cards] == [name]
    assert search.progress() == (1, 1)
