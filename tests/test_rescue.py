"""What somebody typed while their session ran out is kept for them, and for nobody else."""

import pytest

from messenger_reader.rescue import PER_HOUR

from .compose_fixtures import Desk, desk, form_on
from .mail_pages_fixtures import deliver, logged_in, mail, with_file
from .reader_fixtures import ALICE, BOB, PASSWORD
from .second_factor_fixtures import code_of, enrol

FILES = [("plan.pdf", b"%PDF-1.7\n\x00\xff")]
WORDS = "Half an hour of typing"


@pytest.fixture
def alice(tmp_path) -> Desk:
    return desk(tmp_path)


def run_out(one: Desk, seconds: int = 901) -> None:
    one.site.clock.now += seconds


def written(one: Desk, path: str = "/compose", **changes: object) -> dict[str, object]:
    return {**one.form(path), "do": "send", "to": "bob@example.org", "text": WORDS, **changes}


def test_it_is_kept_as_a_draft_and_shown_after_the_log_in(alice):
    form = written(alice)
    run_out(alice)

    answer = alice.post(form, FILES)
    login = alice.get(answer.location).text
    back = alice.site.post(alice.browser, "/login", address=ALICE, password=PASSWORD, next=_next(login)).location

    assert "What you wrote is saved as a draft" in login
    assert WORDS not in login
    page = alice.get(back).text
    assert "when you were logged out" in page
    assert form_on(page)["text"] == WORDS
    assert "plan.pdf" in page
    assert alice.system.taken == []
    alice.post(form_on(page), do="send")
    assert len(alice.sent) == 1
    assert alice.folder("Drafts") == []


def test_the_second_factor_comes_first(alice):
    secret, _ = enrol(alice.site, alice.browser)
    form = written(alice)
    run_out(alice)

    login = alice.get(alice.post(form).location).text
    step = alice.site.post(alice.browser, "/login", address=ALICE, password=PASSWORD, next=_next(login)).location
    before = alice.get(_next(login))
    code = alice.get(step).text
    back = alice.site.post(alice.browser, "/login/code", code=code_of(alice.site, secret), next=_next(code)).location

    assert step.startswith("/login/code")
    assert before.status_code == 303
    assert form_on(alice.get(back).text)["text"] == WORDS


def test_an_answer_keeps_what_it_belongs_to(alice):
    name = deliver(alice.site, mail("Offer").replace(b"To: Alice", b"Message-ID: <one@example.org>\r\nTo: Alice"))
    form = written(alice, f"/message/{name}/reply")
    run_out(alice)

    alice.post(form)

    [(_, flagged, stored)] = alice.folder("Drafts")
    assert flagged == "DS"
    assert dict(stored.headers)["In-Reply-To"] == "<one@example.org>"


def test_a_draft_it_was_opened_from_stays_until_its_owner_goes_on(alice):
    page = alice.save("/compose", FILES, to="bob@example.org", text="before")
    form = {**alice.form(page), "text": WORDS}
    run_out(alice)

    kept = alice.post(form, do="save").location
    alice.site.log_in(alice.browser)

    assert sorted(stored.text for _, _, stored in alice.folder("Drafts")) == [WORDS, "before"]
    assert all(len(stored.attachments) == 1 for _, _, stored in alice.folder("Drafts"))
    alice.post(alice.form(_query_next(kept)), do="send")
    assert alice.sent[0].text == WORDS
    assert alice.folder("Drafts") == []


def test_a_session_that_ran_out_reads_and_changes_nothing_else(alice):
    name = deliver(alice.site, with_file(b"secret", "text/plain", "secret.txt"))
    page = alice.save("/compose", text="before")
    run_out(alice)

    for path in ("/", f"/message/{name}", f"/message/{name}/reply", page, "/compose"):
        assert alice.get(path).location.startswith("/login")
    assert alice.site.post(alice.browser, f"{page}/delete").location.startswith("/login")
    assert len(alice.folder("Drafts")) == 1


@pytest.mark.parametrize("ended", ["logged out", "a day later", "another password", "shut", "deleted"])
def test_a_session_that_is_over_for_good_keeps_nothing_and_the_page_carries_the_text(alice, ended):
    form = written(alice)
    own = alice.site.app.extensions["messenger"]
    account, cookie = own.accounts.find(ALICE), alice.browser.get_cookie("__Host-session", "mail.example.org")
    run_out(alice)
    match ended:
        case "logged out":
            own.accounts.end_session(cookie.value, "local", own.now() - 500)
        case "a day later":
            run_out(alice, 86_400)
        case "another password":
            own.accounts.change_password(account.id, "another three blue doors", "local", own.now())
        case "shut":
            own.accounts.disable(account.id, "admin:root", own.now())
        case "deleted":
            own.accounts.delete(account.id, "local", own.now())

    answer = alice.post(form)

    assert answer.status_code == 403
    assert f"{WORDS}</textarea>" in answer.text
    assert "nothing could be saved" in answer.text
    assert alice.folder("Drafts") == []


def test_a_form_of_another_person_is_not_kept_in_this_ones_mail(alice):
    form = written(alice, whose=BOB)
    run_out(alice)

    assert alice.post(form).status_code == 403
    assert alice.folder("Drafts") == []


def test_who_is_half_way_in_again_keeps_nothing_yet(alice):
    enrol(alice.site, alice.browser)
    form = written(alice)
    run_out(alice)
    alice.site.log_in(alice.browser)

    answer = alice.post(form)

    assert answer.status_code == 403
    assert WORDS in answer.text
    assert alice.folder("Drafts") == []


def test_another_site_puts_nothing_into_the_drafts(alice):
    form = written(alice)
    run_out(alice)

    answer = alice.browser.post(
        "/compose", base_url=alice.site.base, headers={"Sec-Fetch-Site": "cross-site"}, data=form
    )

    assert answer.status_code == 403
    assert WORDS not in answer.text
    assert alice.folder("Drafts") == []


def test_a_stolen_token_that_ran_out_fills_no_mailbox(alice):
    form = written(alice)
    run_out(alice)

    answers = [alice.post({**form, "text": f"{WORDS} {at}"}).status_code for at in range(PER_HOUR + 2)]

    assert answers == [303] * PER_HOUR + [403] * 2
    assert len(alice.folder("Drafts")) == PER_HOUR
    events = [one.event for one in alice.site.app.extensions["messenger"].accounts.trail()]
    assert events.count("draft kept") == PER_HOUR + 2


def test_an_empty_form_just_asks_to_log_in(alice):
    form = alice.form("/compose")
    run_out(alice)

    assert alice.post(form).location == "/login"
    assert alice.folder("Drafts") == []


def test_a_stranger_reads_nothing_out_of_it(alice):
    page = alice.save("/compose", FILES, text="before")
    form = alice.form(page)
    stranger = Desk(alice.site, alice.site.browser(), alice.system)
    bob = Desk(alice.site, logged_in(alice.site, BOB), alice.system)
    run_out(alice)

    for one in (stranger, bob):
        answer = one.post(form, do="save", text="x")
        assert answer.status_code == 403
        assert "before" not in answer.text
    assert len(alice.folder("Drafts")) == 1


def _next(page: str) -> str:
    return page.partition('name="next" value="')[2].partition('"')[0].replace("&amp;", "&")


def _query_next(location: str) -> str:
    return location.partition("next=")[2].partition("?")[0].partition("%3F")[0].replace("%2F", "/")
