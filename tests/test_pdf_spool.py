"""The spool between the intake and the maker of PDFs."""

import os
import resource
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from messenger import pdf_job, pdf_password
from messenger.pdf_job import BadJob, PdfJob
from messenger.pdf_spool import Failed, Spool, SpoolError, Tries

NOW = 1_800_000_000
DIGEST = "ab" * 32
ADDRESS = "anna@partner.example"
JOB = PdfJob(
    pdf_id=pdf_password.id_of(DIGEST, ADDRESS),
    address=ADDRESS,
    digest=DIGEST,
    generation=0,
    created=NOW,
    password_url="https://portal.example/p/x",
    reply_url="https://portal.example/p/x/answer",
    language="de",
    time_zone="Europe/Berlin",
    phrase="Der Reiher steht im Wasser",
    raw=b"From: a@example.com\r\n\r\nBody\xff\r\n",
)
OTHER = replace(JOB, pdf_id=pdf_password.id_of("cd" * 32, ADDRESS), digest="cd" * 32)


@pytest.fixture
def spool(tmp_path):
    found = Spool(tmp_path / "pdf")
    found.prepare()
    return found


def test_a_job_comes_out_as_it_went_in(spool):
    assert spool.put(JOB)

    with spool.claim(JOB.pdf_id) as claim:
        assert claim.job() == JOB


def test_a_retry_of_the_intake_adds_nothing_while_it_waits_nor_when_it_is_done_or_given_up(spool):
    spool.put(JOB)
    spool.put(OTHER)

    again = spool.put(JOB)
    with spool.claim(JOB.pdf_id) as claim:
        claim.done()
    with spool.claim(OTHER.pdf_id) as claim:
        claim.fail("broken")

    assert (again, spool.put(JOB), spool.put(OTHER), spool.due(NOW)) == (False, False, False, [])


def test_one_worker_has_a_file_and_the_others_pass_by(spool):
    spool.put(JOB)

    with spool.claim(JOB.pdf_id) as first, spool.claim(JOB.pdf_id) as second:
        assert first
        assert second is None


def test_a_file_that_was_finished_while_somebody_waited_for_it_is_not_made_again(spool):
    spool.put(JOB)
    made = []

    def work(_):
        for pdf_id in spool.due(NOW):
            with spool.claim(pdf_id) as claim:
                if claim:
                    made.append(claim.job().pdf_id)
                    claim.done()

    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            list(pool.map(work, range(8)))

    assert made == [JOB.pdf_id]


def test_a_worker_that_is_killed_leaves_its_file_to_the_next_one_and_the_try_counts(spool):
    spool.put(JOB)
    script = (
        "import sys, time, pathlib; from messenger.pdf_spool import Spool\n"
        "with Spool(pathlib.Path(sys.argv[1])).claim(sys.argv[2]) as claim:\n"
        "    claim.begin(); print('working', flush=True); time.sleep(60)\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", script, spool.root, JOB.pdf_id], stdout=subprocess.PIPE)
    assert worker.stdout.readline() == b"working\n"
    with spool.claim(JOB.pdf_id) as claim:
        assert claim is None

    worker.send_signal(signal.SIGKILL)
    worker.wait()
    worker.stdout.close()

    with spool.claim(JOB.pdf_id) as claim:
        assert claim.begin() == 2


def test_what_postfix_did_not_take_waits_and_counts_as_no_try(spool):
    spool.put(JOB)
    with spool.claim(JOB.pdf_id) as claim:
        claim.begin()
        claim.later("Postfix is away", NOW + 60, counts=False)

    assert spool.due(NOW + 59) == []
    assert spool.due(NOW + 60) == [JOB.pdf_id]
    assert spool.tries(JOB.pdf_id) == Tries(0, NOW + 60, "Postfix is away", waits=1)


def test_the_oldest_file_comes_first(spool):
    spool.put(JOB)
    spool.put(OTHER)
    os.utime(spool.root / "new" / OTHER.pdf_id, (1, 1))

    assert spool.due(NOW) == [OTHER.pdf_id, JOB.pdf_id]


def test_what_was_given_up_says_why_and_comes_back_when_an_administrator_says_so(spool):
    spool.put(JOB)
    with spool.claim(JOB.pdf_id) as claim:
        claim.begin()
        claim.fail("not a mail")

    [failed] = spool.failed()
    assert failed == Failed(JOB.pdf_id, failed.since, Tries(1, 0, "not a mail"))
    assert spool.retry(JOB.pdf_id)
    assert not spool.retry(JOB.pdf_id)
    assert (spool.failed(), spool.due(NOW), spool.tries(JOB.pdf_id)) == ([], [JOB.pdf_id], Tries())


def test_files_that_are_not_ours_are_let_lie(spool):
    for name in (".hidden", "note.txt", JOB.pdf_id.upper(), f"{JOB.pdf_id}~"):
        (spool.root / "new" / name).touch()

    assert spool.due(NOW) == []


def test_a_file_behind_a_symbolic_link_is_not_opened(spool, tmp_path):
    (tmp_path / "secret").write_text("x")
    (spool.root / "new" / JOB.pdf_id).symlink_to(tmp_path / "secret")

    with pytest.raises(SpoolError), spool.claim(JOB.pdf_id):
        pass


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "expected a line of JSON"),
        (b"no line", "expected a line of JSON"),
        (b"[]\n", "version 1"),
        (b"[" * 60_000 + b"\n", "expected a line of JSON"),
        (b'{"version": 2}\n', "version 1"),
        (b'{"version": 1}\n', "expected the fields"),
        (JOB.to_bytes().replace(b'"generation": 0', b'"generation": "0"'), "generation to be of the kind int"),
        (JOB.to_bytes().replace(b'"generation": 0', b'"generation": true'), "generation to be of the kind int"),
    ],
)
def test_a_broken_file_is_named_for_what_it_lacks(content, reason):
    with pytest.raises(BadJob, match=reason):
        pdf_job.from_bytes(content)


def test_a_full_disk_leaves_nothing_half_written(spool):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(SpoolError) as error:
            spool.put(replace(JOB, raw=bytes(5000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert error.value.temporary
    assert [*(spool.root / "tmp").iterdir(), *(spool.root / "new").iterdir()] == []


def test_what_is_done_is_remembered_for_so_many_days(spool):
    spool.put(JOB)
    with spool.claim(JOB.pdf_id) as claim:
        claim.done()
    sent = (spool.root / "done" / JOB.pdf_id).stat().st_mtime
    (spool.root / "tmp" / "left").touch()

    assert spool.tidy(sent + 30 * 86_400, done_days=30) == 1
    assert not spool.put(JOB)
    assert spool.tidy(sent + 30 * 86_400 + 1, done_days=30) == 1
    assert spool.put(JOB)


def test_a_spool_that_is_not_there_says_what_to_do(tmp_path):
    with pytest.raises(SpoolError, match=r"tmp: no such folder; start messenger-milter"):
        Spool(tmp_path / "pdf").check()
    with pytest.raises(SpoolError):
        Spool(tmp_path / "pdf").put(JOB)


def test_in_a_folder_that_is_shared_the_others_are_made_without_asking_for_its_bit_which_the_units_refuse(
    tmp_path, monkeypatch
):
    (tmp_path / "pdf").mkdir()
    (tmp_path / "pdf").chmod(0o2770)
    monkeypatch.setattr(Path, "chmod", None)
    before = os.umask(0o007)
    try:
        Spool(tmp_path / "pdf").prepare()
    finally:
        os.umask(before)

    assert {oct(entry.stat().st_mode & 0o7777) for entry in (tmp_path / "pdf").iterdir()} == {"0o2770"}
    Spool(tmp_path / "pdf").check()


def test_what_somebody_else_laid_into_the_spool_stops_nobodys_pdf(spool, tmp_path):
    spool.put(JOB)
    (tmp_path / "secret").write_text("x")
    (spool.root / "new" / "2222-3333-4444-5555").symlink_to(tmp_path / "secret")
    os.mkfifo(spool.root / "new" / "2222-3333-4444-6666")
    (spool.root / "new" / "2222-3333-4444-7777").mkdir()

    for odd in ("[1]", '{"after": "x"}', '{"count": null}', "[" * 5000, "\xff"):
        (spool.root / "tries" / JOB.pdf_id).write_text(odd)
        assert spool.due(0) == [JOB.pdf_id]
    (spool.root / "tries" / JOB.pdf_id).unlink()
    os.mkfifo(spool.root / "tries" / JOB.pdf_id)

    assert spool.due(0) == [JOB.pdf_id]
