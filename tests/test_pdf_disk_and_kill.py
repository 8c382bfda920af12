"""A full disk, kill -9 and a worker that stands still: each PDF is sent once, and none is lost."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from email import message_from_bytes, policy

import pytest

from messenger import pdf_password, pdf_record
from messenger.mailbox import mailbox_of
from messenger.pdf_record import RecordError
from messenger.pdf_spool import Spool, SpoolError
from messenger.submission import Route, submit
from messenger_pdfotp.work import work

from .pdf_fixtures import ADDRESS, job, mail, opened
from .test_pdf_orders import ANN, ID, MAIL, orders
from .test_pdfotp_make import Blank
from .test_pdfotp_work import JOB, KEY, NOW, Desk

__all__ = ["orders"]


class Disk:
    """A small file system of its own."""

    def __init__(self, root):
        self.root = root

    def fill(self):
        (self.root / "ballast").touch()
        with (self.root / "ballast").open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass

    def clear(self):
        (self.root / "ballast").unlink()


@pytest.fixture
def disk(tmp_path):
    root = tmp_path / "disk"
    root.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", root], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("needs to mount a file system")
    yield Disk(root)
    subprocess.run(["umount", "-l", root], check=True)


def everything(spool):
    return {
        folder.name: sorted(path.name for path in folder.iterdir())
        for folder in spool.root.iterdir()
        if folder.is_dir()
    }


EMPTY = {"tmp": [], "new": [], "tries": [], "failed": [], "done": []}


def test_an_order_that_a_full_disk_refuses_leaves_nothing_half_written_and_the_retry_is_one_pdf(orders, disk):
    spool = Spool(disk.root / "pdf")
    spool.prepare()
    folder = mailbox_of(disk.root / "mail", ANN).root.parent
    folder.mkdir(parents=True)
    orders = replace(orders, spool=spool, folder_of=lambda _: folder)
    disk.fill()

    with pytest.raises((SpoolError, RecordError)) as error:
        orders.order(ANN, MAIL)
    pdf_record_there = [path.name for path in folder.rglob("*") if path.is_file()]
    left = everything(spool)
    disk.clear()
    orders.order(ANN, MAIL)
    orders.order(ANN, MAIL)

    assert error.value.temporary
    assert (pdf_record_there, left) == ([], EMPTY)
    assert everything(spool) == EMPTY | {"new": [ID]}
    assert pdf_record.find(folder, ID).generation == 0


def test_whenever_the_disk_becomes_full_in_between_one_mail_goes_out_and_none_is_lost(disk):
    spool = Spool(disk.root / "pdf")
    spool.prepare()
    spool.put(JOB)
    desk = Desk(Blank(), spool)

    # Full before the try is counted: nothing is begun, nothing is left behind.
    disk.fill()
    with pytest.raises(SpoolError):
        desk.work()
    assert (desk.sent, everything(spool)) == ([], EMPTY | {"new": [JOB.pdf_id]})

    # Postfix's own disk is full, and so is ours when that is to be noted.
    def refuse(*_):
        disk.fill()
        raise SpoolError("no room")

    disk.clear()
    with pytest.raises(SpoolError):
        desk.work(submit=refuse)
    assert everything(spool)["new"] == [JOB.pdf_id]
    assert everything(spool)["tmp"] == []

    # Full between the mail and the note that it went.
    def send(raw, to):
        desk.sent.append((to, raw))
        disk.fill()

    disk.clear()
    assert desk.work(submit=send)
    disk.clear()

    assert [to for to, _ in desk.sent] == [ADDRESS]
    assert everything(spool) == EMPTY | {"done": [JOB.pdf_id]}
    assert (spool.root / "done" / JOB.pdf_id).stat().st_size == 0
    assert not spool.put(JOB)


def test_what_is_given_up_while_the_disk_is_full_is_given_up_when_it_has_room(disk):
    spool = Spool(disk.root / "pdf")
    spool.prepare()
    spool.put(JOB)
    desk = Desk(Blank(), spool)

    def fail(*_):
        disk.fill()
        raise RuntimeError("a fault of ours")

    with pytest.raises(SpoolError):
        desk.work(submit=fail, tries=1)
    kept = (spool.root / "new" / JOB.pdf_id).read_bytes()
    disk.clear()
    desk.work(tries=1)

    assert kept == JOB.to_bytes()
    assert [one.pdf_id for one in spool.failed()] == [JOB.pdf_id]
    assert [pdf_id for pdf_id, _ in desk.told] == [JOB.pdf_id]
    spool.retry(JOB.pdf_id)
    assert desk.work()
    assert len(desk.sent) == 1


def test_a_file_that_was_put_again_just_before_its_pdf_was_done_is_not_sent_again(tmp_path):
    spool = Spool(tmp_path)
    spool.prepare()
    spool.put(JOB)
    desk = Desk(Blank(), spool)
    desk.work()
    (spool.root / "new" / JOB.pdf_id).write_bytes(JOB.to_bytes())

    with spool.claim(JOB.pdf_id) as claim:
        assert claim is None

    assert everything(spool) == EMPTY | {"done": [JOB.pdf_id]}


def test_what_a_worker_killed_in_its_last_step_left_whole_is_emptied(tmp_path):
    spool = Spool(tmp_path)
    spool.prepare()
    (spool.root / "done" / JOB.pdf_id).write_bytes(JOB.to_bytes())

    spool.tidy(time.time(), 400)

    assert (spool.root / "done" / JOB.pdf_id).stat().st_size == 0
    assert not spool.put(JOB)


SENDER = """
import pathlib, sys
from messenger.submission import Route, submit
submit(b"x" * 79 + b"\\n" + b"y\\n" * 2_000_000, "a@example.org", ["b@example.org"], Route((sys.argv[1],)))
"""


def test_a_sendmail_whose_caller_is_killed_has_the_whole_mail(tmp_path):
    fake = tmp_path / "sendmail"
    fake.write_text(
        f"#!/bin/sh\ntouch {tmp_path}/begun; sleep 0.3; cat > {tmp_path}/tmp; mv {tmp_path}/tmp {tmp_path}/mail"
    )
    fake.chmod(0o755)
    caller = subprocess.Popen([sys.executable, "-c", SENDER, fake])
    _wait(lambda: (tmp_path / "begun").exists())

    caller.kill()
    caller.wait()
    _wait(lambda: (tmp_path / "mail").exists())

    assert (tmp_path / "mail").stat().st_size == 80 + 4_000_000


def _wait(what, seconds=20):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


# A worker stops or dies at each step: processes, spool and sendmail are real, the PDF is an empty one.
STEPS = ("begin", "made", "submit", "submitted", "finish", "_sync", "_empty")


def _work(root, sendmail, step, number):
    """In a process of its own: work on all that is due, and meet signal *number* at *step*."""

    def stop_at(name):
        if name == step:
            (root / "reached").touch()
            os.kill(os.getpid(), number)

    def trace(frame, event, _):
        if event == "call":
            stop_at(frame.f_code.co_name)

    def send(raw, to):
        stop_at("made")
        submit(raw, "notices@example.com", (to,), Route((str(sendmail),)))
        stop_at("submitted")

    spool = Spool(root)
    bench = replace(Desk(Blank(), spool).bench, submit=send, tries=9)
    sys.setprofile(trace)
    for pdf_id in spool.due(NOW):
        with spool.claim(pdf_id) as claim:
            if claim:
                work(claim, bench, NOW)


def _worker(spool, sendmail, step="none", number=0) -> int:
    if not (child := os.fork()):
        code = 1
        try:
            _work(spool.root, sendmail, step, number)
            code = 0
        finally:
            os._exit(code)
    return child


def _ended(child) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture
def sendmail(tmp_path):
    """sendmail(1) that keeps each mail under a name of its own, whole."""
    (tmp_path / "sent").mkdir()
    path = tmp_path / "sendmail"
    path.write_text(f"#!/bin/sh\ncat > {tmp_path}/sent/.$$ && mv {tmp_path}/sent/.$$ {tmp_path}/sent/$$\n")
    path.chmod(0o755)
    return path


def test_killed_at_any_step_a_pdf_has_one_id_one_message_id_and_one_password(sendmail, tmp_path):
    spool = Spool(tmp_path / "pdf")
    spool.prepare()
    spool.put(JOB)
    password = pdf_password.password(KEY, ADDRESS, 0, JOB.pdf_id)
    sent = {}

    for step in STEPS:
        (spool.root / "done" / JOB.pdf_id).unlink(missing_ok=True)
        spool.put(JOB)
        (spool.root / "tries" / JOB.pdf_id).unlink(missing_ok=True)
        before = {*(tmp_path / "sent").iterdir()}
        assert _ended(_worker(spool, sendmail, step, signal.SIGKILL)) == -signal.SIGKILL, step
        _wait(lambda: not any(path.name.startswith(".") for path in (tmp_path / "sent").iterdir()))
        assert [_ended(one) for one in [_worker(spool, sendmail) for _ in range(3)]] == [0, 0, 0]
        assert {**everything(spool), "tmp": [], "tries": []} == EMPTY | {"done": [JOB.pdf_id]}, step
        sent[step] = {*(tmp_path / "sent").iterdir()} - before

    # A second time only where the mail was handed over and no note of it could be made.
    assert {step: len(mails) for step, mails in sent.items()} == dict.fromkeys(STEPS, 1) | {
        "submitted": 2,
        "finish": 2,
    }
    found = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in (tmp_path / "sent").iterdir()]
    assert {one["Message-ID"] for one in found} == {f"<pdf.{JOB.pdf_id}@example.com>"}
    for one in found:
        [pdf] = one.iter_attachments()
        assert pdf.get_filename() == f"{JOB.pdf_id}.pdf"
        opened(pdf.get_content(), password).close()


def test_a_worker_that_stands_still_keeps_its_own_file_only_and_sends_it_once_when_it_goes_on(sendmail, tmp_path):
    spool = Spool(tmp_path / "pdf")
    spool.prepare()
    jobs = [job(mail(), digest=f"{number:02x}" * 32) for number in range(4)]
    for one in jobs:
        spool.put(one)
    stopped = _worker(spool, sendmail, "made", signal.SIGSTOP)
    _wait(lambda: (spool.root / "reached").exists())
    (spool.root / "reached").unlink()
    assert [_ended(one) for one in [_worker(spool, sendmail) for _ in range(2)]] == [0, 0]
    waiting = everything(spool)
    os.kill(stopped, signal.SIGCONT)
    assert _ended(stopped) == 0
    (spool.root / "reached").unlink(missing_ok=True)

    assert (len(waiting["new"]), len(waiting["done"])) == (1, 3)
    assert len([*(tmp_path / "sent").iterdir()]) == 4
    assert (len(everything(spool)["new"]), len(everything(spool)["done"])) == (0, 4)
