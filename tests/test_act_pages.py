"""Folders, and what can be done to mails in them: moved, deleted, starred, and undone; with others at it meanwhile."""

import re
import sqlite3
from contextlib import closing
from html import unescape

import pytest

from messenger.accounts import Accounts
from messenger.link import reference
from messenger_reader import done as kinds
from messenger_reader.folder_names import decoded

from .mail_pages_fixtures import deliver, logged_in, mail, mailbox_at
from .reader_fixtures import ALICE, BOB, PORTAL, Portal, portal


@pytest.fixture
def site(tmp_path) -> Portal:
    return portal(tmp_path)


@pytest.fixture
def alice(site):
    return logged_in(site)


def act(site, browser, do, names, folder="", back="/", **more):
    """Press a button of a list page; return the page it leads to, and its address."""
    form = {"do": do, "name": names, "folder": folder, "back": back, **more}
    answer = browser.post("/act", base_url=site.base, headers=site.headers, data=form)
    assert answer.status_code == 303, answer.status
    return follow(site, browser, answer)


def follow(site, browser, answer):
    return site.get(browser, answer.location).text, answer.location


def undo(site, browser, page):
    [token] = re.findall(r'name="token" value="([^"]+)"', page)
    return follow(site, browser, site.post(browser, "/undo", token=token))


def where(site, address=ALICE):
    """Every mail of somebody: its name, folder and flags."""
    mailbox = mailbox_at(site, address)
    return {entry.name: (folder, entry.flags) for folder in mailbox.folders() for entry in mailbox.list(folder)}


def three(site):
    return [deliver(site, mail(f"Number {at}")) for at in range(3)]


def audited(site) -> list[str]:
    accounts: Accounts = site.app.extensions["messenger"].accounts
    return [event.detail for event in accounts.trail() if event.event == "delete"]


def shown(page):
    return re.findall(r'<a href="/message/([^"]+)"', page)


def test_every_folder_is_listed_with_what_is_unread(site, alice):
    three(site)
    mailbox_at(site).deliver(mail("A draft"), "d1", folder="Drafts", flags="D")
    mailbox_at(site).deliver(mail("Planned"), "p1", folder="&ZeVnLIqe-.Z&APw-rich")
    mailbox_at(site).deliver(mail("Evil"), "e1", folder='<script>"\u202e')
    page = site.get(alice, "/").text

    folders = re.findall(r'<li><a href="([^"]+)"[^>]*><bdi>(.*?)</bdi>(?: <span class="count">(\d+))?', page)

    assert folders[: len(folders) // 2] == [
        ("/", "Inbox", "3"),
        ("/folder/Drafts", "Drafts", "1"),
        ("/folder/Sent", "Sent", ""),
        ("/folder/Archive", "Archive", ""),
        ("/folder/Trash", "Trash", ""),
        ("/folder/&amp;ZeVnLIqe-.Z&amp;APw-rich", "日本語 / Zürich", "1"),
        ("/folder/%3Cscript%3E%22%E2%80%AE", "&lt;script&gt;&#34;", "1"),
    ]
    assert "<script" not in page
    assert "Evil" in site.get(alice, folders[6][0]).text
    assert "Planned" in site.get(alice, unescape(folders[5][0])).text
    assert "A draft" in site.get(alice, "/folder/Drafts").text
    assert "No messages in this folder" in site.get(alice, "/folder/Archive").text


def test_a_folder_that_cannot_be_read_keeps_nobody_from_the_others(site, alice, caplog):
    name = three(site)[0]
    mailbox_at(site).deliver(mail(), "x1", folder="Broken")
    cur = mailbox_at(site).root / ".Broken" / "cur"
    cur.rename(cur.with_name("was-cur"))
    cur.write_text("in the way")

    assert len(shown(site.get(alice, "/").text)) == 3
    assert site.get(alice, f"/message/{name}").status_code == 200
    assert site.get(alice, "/folder/Broken").status_code == 503
    assert "Broken" in caplog.text


@pytest.mark.parametrize("folder", ["Nowhere", "..", ".Trash", "Trash.", "a%00b", "x" * 300, "%ff", "Trash%2fcur"])
def test_a_folder_that_is_none_is_not_found(site, alice, folder):
    assert site.get(alice, f"/folder/{folder}").status_code in (303, 308, 404)


@pytest.mark.parametrize(
    ("spelled", "meant"),
    [
        ("Entw&APw-rfe", "Entwürfe"),
        ("A &- B", "A & B"),
        ("&U,BTFw-", "台北"),
        ("R&D", "R&D"),
        ("&AA-", "&AA-"),
        ("&2D0-x", "&2D0-x"),
        ("Grüße", "Grüße"),
    ],
)
def test_names_of_folders_are_read_as_imap_spells_them(spelled, meant):
    assert decoded(spelled) == meant


def test_sent_mail_and_drafts_show_whom_they_are_for(site, alice):
    crowd = mail("To many").replace(b"Alice <alice@example.net>", b"Carol <carol@example.com>, dan@example.com")
    mailbox_at(site).deliver(crowd, "s1", folder="Sent", flags="S")
    mailbox_at(site).deliver(b"Subject: to nobody yet\r\n\r\n", "d1", folder="Drafts", flags="D")

    sent, drafts = site.get(alice, "/folder/Sent").text, site.get(alice, "/folder/Drafts").text

    assert re.search(r"Carol\s+and 1 more", sent)
    assert "Bob" not in sent
    assert "No recipient" in drafts


def test_selected_mails_are_archived_and_it_is_undone(site, alice):
    names = three(site)
    mailbox_at(site).flag(names[0], add="FS")
    site.get(alice, "/")

    page, address = act(site, alice, "archive", names[:2])

    assert "2 messages moved to “Archive”." in page
    assert address.startswith("/?done=")
    assert shown(page) == [names[2]]
    assert where(site) == {names[0]: ("Archive", "FS"), names[1]: ("Archive", ""), names[2]: ("", "")}
    assert set(shown(site.get(alice, "/folder/Archive").text)) == set(names[:2])

    page, _ = undo(site, alice, page)

    assert "2 messages moved back." in page
    assert "Undo" not in page
    assert set(shown(page)) == set(names)
    assert where(site)[names[0]] == ("", "FS")
    assert audited(site) == []


def test_what_is_deleted_lies_in_the_trash_and_can_be_moved_back(site, alice):
    names = three(site)

    page, _ = act(site, alice, "delete", names[:1])
    assert "1 message moved to Trash." in page
    assert audited(site) == [f"{reference(names[0])} Trash"]
    assert not mailbox_at(site).deliver(mail("Number 0"), names[0])  # a retry doesn't bring it back

    page, address = act(site, alice, "inbox", names[:1], "Trash", "/folder/Trash")
    assert "1 message moved to “Inbox”." in page
    assert address.startswith("/folder/Trash?done=")
    assert {folder for folder, _ in where(site).values()} == {""}


def test_what_is_deleted_in_the_trash_goes_for_good_after_a_question(site, alice):
    names = three(site)
    act(site, alice, "delete", names)

    question, address = act(site, alice, "delete", names[:2], "Trash", "/folder/Trash")
    assert "Delete 2 messages for good?" in question
    assert len(where(site)) == 3

    mailbox_at(site).remove(names[0], "Trash")  # by another program, meanwhile
    page, _ = follow(site, alice, site.post(alice, address))
    assert "1 message deleted for good. 1 message was gone already." in page
    assert where(site) == {names[2]: ("Trash", "")}
    assert audited(site)[-1] == f"{reference(names[1])} for good"
    assert follow(site, alice, site.post(alice, address))[1] == "/folder/Trash"  # the same form again


def test_the_trash_is_emptied_of_as_many_as_were_said(site, alice):
    names = three(site)
    act(site, alice, "delete", names[:2])

    question = site.get(alice, "/empty-trash").text
    [count] = re.findall(r'name="count" value="(\d+)"', question)
    assert (count, "Delete 2 messages for good?" in question) == ("2", True)

    act(site, alice, "delete", names[2:])  # one more in another tab: asked again
    asked_again = site.post(alice, "/empty-trash", count=count)
    assert (asked_again.status_code, asked_again.location) == (303, "/empty-trash")
    assert len(where(site)) == 3

    page, _ = follow(site, alice, site.post(alice, "/empty-trash", count="3"))
    assert "3 messages deleted for good." in page
    assert where(site) == {}
    assert site.post(alice, "/empty-trash", count="0").location == "/folder/Trash"


def test_flags_are_set_on_all_that_are_selected(site, alice):
    names = three(site)
    steps = [
        ("read", "S", "marked as read"),
        ("star", "FS", "starred"),
        ("unread", "F", "as unread"),
        ("unstar", "", "Star"),
    ]
    for do, expected, words in steps:
        page, _ = act(site, alice, do, names[:2])

        assert words in page
        assert [where(site)[name][1] for name in names] == [expected, expected, ""], do
        assert page.count('aria-pressed="true"') == 2 * ("F" in expected)


def test_the_star_of_a_row_changes_that_row_alone(site, alice):
    names = three(site)

    page, address = act(site, alice, "", names[1:], star=names[0], back="/?older=9-x")
    assert address == f"/?older=9-x#m-{names[0]}"
    assert f'id="m-{names[0]}"' in page
    act(site, alice, "", [], star=names[0])  # twice is once

    assert [where(site)[name][1] for name in names] == ["F", "", ""]


def test_the_enter_key_in_a_checkbox_keeps_what_is_selected(site, alice):
    names = three(site)

    page, _ = act(site, alice, "nothing", names[:2])

    assert set(re.findall(r'name="name" value="([^"]+)"[^>]* checked', page)) == set(names[:2])
    assert 'role="status"' not in page
    assert re.search(r'<form class="picking"[^>]*>\s*<button [^>]*value="nothing"', page)


def test_a_message_page_says_where_it_is_and_what_can_be_done(site, alice):
    name = three(site)[0]
    act(site, alice, "archive", [name])

    page = site.get(alice, f"/message/{name}").text
    assert re.search(r'href="/folder/Archive">← <bdi>Archive', page)
    form = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))
    assert form == {"name": name, "folder": "Archive", "back": "/folder/Archive", "here": f"/message/{name}"}

    page, address = act(site, alice, "", [name], form["folder"], form["back"], here=form["here"], star=name)
    assert address.startswith(f"/message/{name}#")
    assert 'aria-pressed="true"' in page

    page, address = act(site, alice, "delete", [name], form["folder"], form["back"], here=form["here"])
    assert address.startswith("/folder/Archive?done=")
    assert where(site)[name] == ("Trash", "FS")
    assert 'action="/act"' in site.get(alice, f"/message/{name}").text  # its address stays the same


def test_two_tabs_and_another_program_get_on_with_each_other(site, alice):
    names = three(site)
    tab, other = site.get(alice, "/").text, site.get(alice, "/").text
    assert shown(tab) == shown(other)
    act(site, alice, "archive", names[:1])
    mailbox_at(site).move(names[1], "", "Trash")  # a mail client

    page, _ = act(site, alice, "delete", names)

    assert "1 message moved to Trash. 2 messages were gone already." in page
    page, _ = undo(site, alice, page)
    assert "1 message moved back." in page
    page, _ = act(site, alice, "read", names)
    assert "1 message marked as read. 2 messages were gone already." in page
    assert [where(site)[name][0] for name in names] == ["Archive", "Trash", ""]

    page, _ = act(site, alice, "archive", names[2:])
    mailbox_at(site).remove(names[2], "Archive")
    page, _ = undo(site, alice, page)
    assert "1 message was gone already." in page


def test_mails_of_several_folders_are_done_at_once_where_no_folder_is_named(site, alice):
    names = three(site)
    act(site, alice, "archive", names[:1])
    act(site, alice, "delete", names[1:2])
    form = {"do": "delete", "name": [*names, "gone"], "back": "/search?q=x"}

    answer = alice.post("/act", base_url=site.base, headers=site.headers, data=form)

    page, address = follow(site, alice, answer)
    assert address.startswith("/search?q=x&done=")
    assert "3 messages moved to Trash. 1 message was gone already." in page
    assert [where(site)[name][0] for name in names] == ["Trash"] * 3
    codes = [reference(name) for name in names]
    assert sorted(" ".join(audited(site)).split()) == sorted([*codes, "Trash", "Trash"])  # one line for each act
    undo(site, alice, page)
    assert [where(site)[name][0] for name in names] == ["Archive", "Trash", ""]

    trashed = {"do": "delete", "name": names[1]}
    asked = alice.post("/act", base_url=site.base, headers=site.headers, data=trashed)
    assert asked.location.startswith("/remove/")


def test_what_another_edition_kept_is_not_undone(site, alice):
    name = three(site)[0]
    page, _ = act(site, alice, "archive", [name])
    [path] = (site.home / "cache").rglob("inbox.sqlite")
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("""UPDATE act SET act = '{"kind": "moved", "unheard": 1}'""")

    [token] = re.findall(r'name="token" value="([^"]+)"', page)

    assert site.get(alice, f"/?done={token}").status_code == 200
    assert site.post(alice, "/undo", token=token).location == "/"


def test_undo_works_once_and_only_for_its_owner(site, alice):
    name = three(site)[0]
    page, _ = act(site, alice, "archive", [name])
    [token] = re.findall(r'name="token" value="([^"]+)"', page)
    bob = logged_in(site, BOB)

    assert site.post(bob, "/undo", token=token).location == "/"
    assert where(site)[name][0] == "Archive"
    assert site.post(alice, "/undo", token=token).location.startswith("/?done=")
    assert site.post(alice, "/undo", token=token).location == "/"
    for forged in ("", "x", "ä", "a" * 10_000):
        assert site.post(alice, "/undo", token=forged).location == "/"


def test_what_was_done_long_ago_cannot_be_undone(site, alice):
    name = three(site)[0]
    page, _ = act(site, alice, "archive", [name])
    site.clock.now += kinds.KEEP_SECONDS + 1
    site.log_in(alice)

    [token] = re.findall(r'name="token" value="([^"]+)"', page)
    site.post(alice, "/undo", token=token)

    assert where(site)[name][0] == "Archive"


def test_nobody_touches_another_persons_mail(site, alice):
    name = deliver(site, mail("Bob's own"), BOB)

    for do in ("archive", "delete", "read", "star"):
        assert "1 message was gone already." in act(site, alice, do, [name])[0]

    assert where(site, BOB) == {name: ("", "")}


def test_forms_made_by_hand_do_nothing(site, alice):
    names = three(site)
    before = where(site)

    assert "No message was selected." in act(site, alice, "delete", [])[0]
    assert "No message was selected." in act(site, alice, "delete", ["..", "a:2,S", "x/y", "ä"])[0]
    assert act(site, alice, "read", [], back="//evil.example/")[1].startswith("/?done=")
    assert act(site, alice, "read", [], back="https://evil.example/")[1].startswith("/?done=")
    assert site.post(alice, "/act", do="explode", name=names[0], folder="").status_code == 400
    assert site.post(alice, "/act", do="move", name=names[0], folder="", to="../x").status_code == 404
    assert site.post(alice, "/act", do="move", name=names[0], folder="", to="New").status_code == 404
    assert "gone already" in act(site, alice, "archive", names[:1], "Nowhere", "/")[0]
    assert "gone already" in act(site, alice, "archive", names[:1], "../..", "/")[0]
    other = alice.post("/act", base_url=PORTAL, headers={"Sec-Fetch-Site": "cross-site"}, data={"do": "delete"})
    assert other.status_code == 403
    assert where(site) == before


def test_without_a_cache_mails_are_moved_all_the_same(tmp_path):
    site = portal(tmp_path)
    (tmp_path / "cache").rmdir()
    (tmp_path / "cache").write_text("in the way")
    browser = logged_in(site)
    names = three(site)

    page, address = act(site, browser, "archive", names[:1])

    assert (address, shown(page)) != ("", names)
    assert where(site)[names[0]][0] == "Archive"
    assert set(shown(site.get(browser, "/folder/Archive").text)) == {names[0]}
    act(site, browser, "delete", names[1:2])
    # For good only after a question, and there is nowhere to keep it.
    form = {"do": "delete", "name": names[1], "folder": "Trash"}
    assert site.post(browser, "/act", **form).status_code == 503
    assert where(site)[names[1]][0] == "Trash"


def test_a_page_says_where_it_was_left_and_its_address_stays_short(site, alice):
    names = [deliver(site, mail(f"Number {at}")) for at in range(60)]
    first = site.get(alice, "/").text
    [older] = re.findall(r'href="(/\?older=[^"]+)">Older', first)
    second = site.get(alice, f"{older}&all=1").text
    [back] = re.findall(r'name="back" value="([^"]*)"', second)
    picked = re.findall(r'name="name" value="([^"]+)"[^>]* checked', second)

    page, address = act(site, alice, "move", picked, back=unescape(back), to="Trash")

    assert len(picked) == 10
    assert address.startswith(f"{older}&done=")
    assert "all=1" not in address
    assert len(shown(page)) == 50  # nothing is left there: the newest
    assert len(address) < 400
    assert len(undo(site, alice, page)[1]) < 400
    assert {folder for folder, _ in where(site).values()} == {""}
    assert len(names) == 60
