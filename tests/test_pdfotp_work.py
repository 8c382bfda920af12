"""One file of the spool, from its claim to its end; and the service that does all of them."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from email import message_from_bytes, policy

import pytest

from demo.postfix import CATCH, PostfixMissing, PrivatePostfix, require
from messenger import pdf_password
from messenger.passing import EX_TEMPFAIL
from messenger.pdf_spool import Spool, Tries
from messenger.submission import SubmissionError
from messenger_pdfotp.make import Wishes
from messenger_pdfotp.renderer import Renderer
from messenger_pdfotp.work import FIRST_WAIT, LONGEST_WAIT, Bench, work

from .milter_fixtures import Site
from .pdf_fixtures import ADDRESS, SITE, job, mail, opened, renderer, text_of

__all__ = ["renderer"]

KEY = bytes(range(32))
NOW = 1_800_000_000
JOB = job(mail())

try:
    require()
    missing = ""
except PostfixMissing as error:
    missing = str(error)


class Desk:
    """What went out and what was said, instead of a mail system."""

    def __init__(self, renderer, spool):
        self.sent, self.told, self.spool = [], [], spool
        self.bench = Bench(
            site=SITE,
            key=KEY,
            symbols=20,
            wishes=Wishes(),
            tries=3,
            renderer=renderer,
            submit=lambda mail, to: self.sent.append((to, mail)),
            tell=lambda pdf_id, reason: self.told.append((pdf_id, reason)),
        )

    def work(self, now=NOW, **changes) -> bool:
        with self.spool.claim(JOB.pdf_id) as claim:
            return work(claim, replace(self.bench, **changes), now)


@pytest.fixture
def desk(renderer, tmp_path):
    spool = Spool(tmp_path / "pdf")
    spool.prepare()
    spool.put(JOB)
    return Desk(renderer, spool)


def raising(error):
    def call(*_, **__):
        raise error

    return call


def test_a_file_becomes_one_mail_whose_pdf_opens_with_the_password_that_the_portal_would_show(desk, tmp_path):
    assert desk.work()

    [(to, sent)] = desk.sent
    [pdf] = message_from_bytes(sent, policy=policy.default).iter_attachments()
    password = pdf_password.password(KEY, ADDRESS, 0, JOB.pdf_id)
    assert to == ADDRESS
    assert "the contract is ready" in text_of(pdf.get_content(), tmp_path, password)
    assert desk.spool.due(NOW + 99_999) == []
    assert not desk.spool.put(JOB)


def test_another_generation_is_another_password(desk):
    desk.spool.finish(JOB.pdf_id)
    (desk.spool.root / "done" / JOB.pdf_id).unlink()
    desk.spool.put(replace(JOB, generation=1))

    desk.work()

    [pdf] = message_from_bytes(desk.sent[0][1], policy=policy.default).iter_attachments()
    opened(pdf.get_content(), pdf_password.password(KEY, ADDRESS, 1, JOB.pdf_id)).close()


def test_while_postfix_takes_nothing_it_waits_longer_and_longer_and_is_never_given_up(desk):
    away = raising(SubmissionError("nobody there"))
    waits, now = [], NOW
    for _ in range(10):
        assert not desk.work(now, submit=away)
        after = desk.spool.tries(JOB.pdf_id).after
        waits.append(after - now)
        now = after

    assert waits[:3] == [FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT]
    assert waits[-1] == LONGEST_WAIT
    assert desk.work(now)
    assert len(desk.sent) == 1
    assert desk.told == []


def test_what_fails_again_and_again_is_given_up_told_and_kept(desk):
    for number in range(3):
        desk.work(NOW + 10_000 * number, submit=raising(RuntimeError("a fault of ours")))

    [(pdf_id, reason)] = desk.told
    [failed] = desk.spool.failed()
    assert (pdf_id, failed.pdf_id) == (JOB.pdf_id, JOB.pdf_id)
    assert "a fault of ours" in reason
    assert (desk.spool.root / "failed" / JOB.pdf_id).read_bytes() == JOB.to_bytes()
    desk.spool.retry(JOB.pdf_id)
    assert desk.work()


def test_a_mail_that_ends_the_process_each_time_is_given_up_by_the_next_one(desk):
    desk.spool.note(JOB.pdf_id, Tries(count=3))

    assert not desk.work()

    assert desk.sent == []
    assert desk.told == [(JOB.pdf_id, "the process ended in the middle of each try")]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage\n",
        replace(JOB, digest="cd" * 32).to_bytes(),
        replace(JOB, address="eve@evil.test").to_bytes(),
        replace(JOB, address="Anna@Partner.Example").to_bytes(),
        replace(JOB, address="no address").to_bytes(),
    ],
    ids=["empty", "garbage", "another digest", "another recipient", "another spelling", "no address"],
)
def test_a_file_that_is_not_what_its_name_says_is_given_up_at_once_and_sent_to_nobody(desk, content):
    (desk.spool.root / "new" / JOB.pdf_id).write_bytes(content)

    assert not desk.work()

    assert desk.sent == []
    assert len(desk.told) == 1


def test_an_administrator_who_cannot_be_told_keeps_nothing_from_being_given_up(desk):
    (desk.spool.root / "new" / JOB.pdf_id).write_bytes(b"garbage\n")

    desk.work(tell=raising(SubmissionError("nobody there")))

    assert [one.pdf_id for one in desk.spool.failed()] == [JOB.pdf_id]


def test_a_stop_ends_a_pdf_that_takes_long_at_once_and_leaves_it_to_the_next_start(desk):
    """Not its text, nor a page that says it could not be laid out: the whole again, and no try is counted."""
    hard = job(mail("Dear Anna,\n" + ("The board met at nine. " * 30 + "\n\n") * 1_000), digest="77" * 32)
    desk.spool.finish(JOB.pdf_id)
    desk.spool.put(hard)
    stopped = Renderer()
    stopped.start()
    seconds = []
    signal.signal(signal.SIGALRM, lambda *_: (seconds.append(time.monotonic()), stopped.stop()))
    signal.setitimer(signal.ITIMER_REAL, 4)
    try:
        with desk.spool.claim(hard.pdf_id) as claim:
            assert not work(claim, replace(desk.bench, renderer=stopped), NOW)
        ended = time.monotonic()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        stopped.close()

    assert ended - seconds[0] < 5
    assert desk.sent == []
    assert desk.spool.tries(hard.pdf_id).count == 0
    assert desk.spool.due(NOW + FIRST_WAIT) == [hard.pdf_id]


# The service


@pytest.fixture(scope="module")
def postfix(tmp_path_factory):
    with PrivatePostfix(tmp_path_factory.mktemp("postfix"), transport=CATCH) as instance:
        yield instance


@pytest.fixture
def site(postfix, tmp_path):
    made = Site(tmp_path / "portal", sendmail=postfix.sendmail)
    (made.home / "keys" / "pdf.key").write_text(KEY.hex() + "\n")
    Spool(made.home / "pdf").prepare()
    return made


def service(site, *words):
    return subprocess.Popen(
        [sys.executable, "-m", "messenger_pdfotp.service", "--config", str(site.settings), *words],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(what, seconds=60):
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
    return found


@pytest.mark.postfix
@pytest.mark.skipif(bool(missing), reason=missing)
def test_two_workers_send_each_pdf_once_one_is_killed_in_the_middle_and_a_stop_finishes(site, postfix, tmp_path):
    spool = Spool(site.home / "pdf")
    jobs = [job(mail(Subject=f"Mail {number}"), digest=f"{number:02x}" * 32) for number in range(8)]
    for one in jobs:
        spool.put(one)
    first, second = service(site), service(site)
    try:
        wait_for(lambda: any((spool.root / "done").iterdir()))
        first.kill()

        wait_for(lambda: len([*(spool.root / "done").iterdir()]) == 8)
        second.send_signal(signal.SIGTERM)
        said = second.communicate(timeout=60)[0]
    finally:
        for process in (first, second):
            process.kill()
            process.communicate()

    assert second.returncode == 0, said
    caught = wait_for(lambda: len(found := postfix.caught()) >= 8 and found)
    found = [message_from_bytes(one.raw, policy=policy.default) for one in caught]
    ids = [one["Message-ID"] for one in found]
    # Killed between Postfix's answer and its own note, a worker leaves one to be sent again, with the same id.
    assert {f"<pdf.{one.pdf_id}@portal.example>" for one in jobs} == set(ids)
    assert len(ids) <= 9
    [pdf] = found[0].iter_attachments()
    pdf_id = pdf.get_filename().removesuffix(".pdf")
    assert "Mail" in text_of(pdf.get_content(), tmp_path, pdf_password.password(KEY, ADDRESS, 0, pdf_id))


@pytest.mark.postfix
@pytest.mark.skipif(bool(missing), reason=missing)
def test_a_start_while_the_disk_of_the_spool_is_read_only_is_tried_again_by_systemd(site):
    spool = site.home / "pdf"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(spool)], check=True)
    try:
        Spool(spool).prepare()
        subprocess.run(["mount", "-o", "remount,ro", str(spool)], check=True)

        said, _ = (process := service(site)).communicate(timeout=60)
    finally:
        subprocess.run(["umount", "-l", str(spool)], check=True)

    assert process.returncode == EX_TEMPFAIL, said
    assert "can't write there" in said


@pytest.mark.postfix
@pytest.mark.skipif(bool(missing), reason=missing)
def test_what_is_wrong_before_the_start_is_said_in_one_go(site):
    (site.home / "keys" / "pdf.key").unlink()
    (site.home / "pdf" / "done").rmdir()

    said, _ = (process := service(site, "--check")).communicate(timeout=60)

    assert process.returncode == 78
    assert "pdf.key: no PDF key there; `messenger setup` makes one" in said
    assert "done: no such folder" in said


@pytest.mark.postfix
@pytest.mark.skipif(bool(missing), reason=missing)
def test_a_check_of_a_sound_site_says_so(site):
    said, _ = (process := service(site, "--check")).communicate(timeout=60)

    assert (process.returncode, said) == (0, "Settings, keys, the spool and the renderer are in order.\n")
