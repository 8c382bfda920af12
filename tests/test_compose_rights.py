"""Who may write to whom, and that nobody writes by another person's hand."""

import pytest

from .compose_fixtures import Desk, desk, form_on
from .mail_pages_fixtures import deliver, logged_in, mail, mailbox_at, with_file
from .reader_fixtures import ALICE, BOB
from .writing_fixtures import CROWD, alice_fixture  # noqa: F401


@pytest.mark.parametrize(
    ("settings", "shut", "ajar"),
    [
        ("enabled = false", ["/compose", "/message/{}/reply", "/message/{}/reply-all", "/message/{}/forward"], []),
        ("reply_all = false", ["/message/{}/reply-all"], ["/message/{}/reply", "/compose"]),
        ('compose_to = "off"', ["/compose", "/message/{}/forward"], ["/message/{}/reply", "/message/{}/reply-all"]),
    ],
)
def test_what_the_settings_shut_is_not_there(tmp_path, settings, shut, ajar):
    alice = desk(tmp_path, reply=settings)
    name = deliver(alice.site, CROWD)
    page = alice.get(f"/message/{name}").text + alice.get("/").text

    for path in shut:
        assert alice.get(path.format(name)).status_code == 404
        assert f'"{path.format(name)}"' not in page
    for path in ajar:
        assert alice.get(path.format(name)).status_code == 200
    if settings == "enabled = false":
        assert alice.post({"id": "0" * 32, "kind": "new", "whose": ALICE}, do="send", to=BOB).status_code == 404


def test_a_draft_answered_by_its_own_writer_is_no_way_around_the_settings(tmp_path):
    alice = desk(tmp_path, reply='compose_to = "off"')
    form = {"id": "0" * 32, "kind": "new", "whose": ALICE, "to": "dora@example.org", "cc": "emil@example.org"}
    draft = alice.post(form, do="save", text="x").location.partition("?")[0].rpartition("/")[2]

    for before, folder in (("", ""), ("Drafts", "Archive"), ("Archive", "Sent")):
        if before:
            alice.mailbox.move(draft, before, folder)
        for kind in ("reply", "reply-all"):
            assert alice.get(f"/message/{draft}/{kind}").status_code == 404
            answer = {**form, "id": "1" * 32, "kind": kind, "original": draft}
            alice.post(answer, do="send", text="x")
    assert alice.system.taken == []


def test_with_a_list_only_those_on_it_are_written_to_and_whoever_wrote_is_answered(tmp_path):
    alice = desk(tmp_path, reply='compose_to = "list"\ncompose_list = ["desk@example.org"]')
    name = deliver(alice.site, CROWD)

    page = alice.get("/compose").text
    refused = alice.post(form_on(page), do="send", to="bob@example.org", text="x")
    alice.post(alice.form("/compose"), do="send", to="desk@example.org", text="x")
    alice.send(f"/message/{name}/reply", text="x")
    elsewhere = alice.send(f"/message/{name}/reply", text="x", to="bob@example.org, dora@example.org")

    assert 'type="checkbox" name="to" value="desk@example.org"' in page
    assert "bob@example.org can’t be reached" in alice.get(refused.location).text
    assert "dora@example.org can’t be reached" in alice.get(elsewhere.location).text
    assert [to for _, _, to in alice.system.taken] == [("desk@example.org",), ("bob@example.org",)]


def test_mail_is_from_the_person_where_the_site_wants_that(tmp_path):
    alice = desk(tmp_path, reply='reply_from = "own"')

    alice.send("/compose", to="bob@example.org", text="x")

    assert alice.system.taken[0][1] == ALICE
    assert alice.sent[0].senders[0].address == ALICE
    assert alice.sent[0].reply_to == ()


def test_nobody_answers_or_passes_on_another_persons_mail(alice):
    name = deliver(alice.site, with_file(b"secret", "text/plain", "secret.txt"), BOB)
    draft = mailbox_at(alice.site, BOB)
    draft.deliver(mail("Theirs", "secret"), "d" * 64, "Drafts", "D")

    for path in (f"/message/{name}/reply", f"/message/{name}/forward", f"/draft/{'d' * 64}", f"/sent/{'d' * 64}"):
        assert alice.get(path).status_code == 404
    form = {**alice.form("/compose"), "kind": "forward", "original": name, "draft": "d" * 64}
    alice.post(form, do="send", to="bob@example.org", text="x")
    assert alice.site.post(alice.browser, f"/draft/{'d' * 64}/delete").status_code == 303
    assert alice.sent[0].attachments == ()
    assert "secret" not in alice.sent[0].text
    assert draft.read("d" * 64, "Drafts")


def test_a_form_of_somebody_else_in_the_same_browser_is_not_sent(alice):
    form = alice.form("/compose")
    bob = Desk(alice.site, logged_in(alice.site, BOB), alice.system)

    answer = bob.post(form, do="send", to="carl@example.org", text="Alice's words")

    assert answer.status_code == 409
    assert "Alice&#39;s words" in answer.text
    assert alice.system.taken == []


def test_another_site_sends_nothing(alice):
    form = alice.form("/compose")

    answer = alice.browser.post(
        "/compose",
        base_url=alice.site.base,
        headers={"Sec-Fetch-Site": "cross-site"},
        data={**form, "do": "send", "to": "bob@example.org", "text": "x"},
    )

    assert answer.status_code == 403
    assert alice.system.taken == []
