"""``messenger pdf``."""

import json
import os
import subprocess
import sys

import pytest

from messenger import pdf_password, pdf_record
from messenger.pdf_job import PdfJob
from messenger.pdf_record import Record
from messenger.pdf_spool import Spool

from .account_commands_fixtures import desk_fixture
from .cli_fixtures import made_site_fixture, messenger_fixture, site_fixture
from .pdf_fixtures import ADDRESS, mail, opened
from .pdf_fixtures import job as pdf_job

__all__ = ["desk_fixture", "made_site_fixture", "messenger_fixture", "site_fixture"]

NOW = 1_800_000_000


@pytest.fixture
def spool(desk):
    made = Spool(desk.config().pdf.spool)
    made.prepare()
    return made


def pdf(desk, *words, given=b""):
    return desk.run("pdf", *words, "--config", desk.folder / "messenger.toml", given=given)


def given_up(spool, digest="ab" * 32) -> PdfJob:
    job = pdf_job(b"x", digest=digest)
    spool.put(job)
    with spool.claim(job.pdf_id) as claim:
        claim.begin()
        claim.fail("not a mail")
    return job


def test_what_was_given_up_is_listed_with_its_reason_and_tried_again(desk, spool):
    job = given_up(spool)

    listed = pdf(desk, "list")
    as_json = pdf(desk, "list", "--json")
    retried = pdf(desk, "retry", job.pdf_id.upper().replace("-", " "))

    assert job.pdf_id in listed.out
    assert "not a mail" in listed.out
    assert json.loads(as_json.out) | {"since": ""} == {
        "id": job.pdf_id,
        "since": "",
        "tries": 1,
        "reason": "not a mail",
    }
    assert (retried.status, retried.out) == (0, f"{job.pdf_id}: tried again\n")
    assert spool.due(NOW) == [job.pdf_id]
    assert pdf(desk, "retry", job.pdf_id).status == 66


def test_all_can_be_tried_again_at_once(desk, spool):
    jobs = [given_up(spool), given_up(spool, "cd" * 32)]

    done = pdf(desk, "retry", "--all", "--json")

    assert sorted(json.loads(done.out)["retried"]) == sorted(one.pdf_id for one in jobs)
    assert pdf(desk, "retry").status == 64


def test_the_help_desk_is_told_a_password_and_the_audit_who_asked(desk, spool):
    desk.sign_up(ADDRESS, NOW)
    job = pdf_job(b"x")
    folder = desk.mailbox(ADDRESS).root.parent
    folder.mkdir(parents=True, exist_ok=True)
    pdf_record.keep(folder, Record(job.pdf_id, job.digest, 3, NOW, "bob@example.com"))
    key = pdf_password.load_key(desk.config().pdf.key)

    said = pdf(desk, "password", "--id", job.pdf_id, "--address", "Anna@PARTNER.example")

    assert said.out == pdf_password.password(key, ADDRESS, 3, job.pdf_id) + "\n"
    line = [json.loads(one) for one in desk.audit("--json").out.splitlines()][-1]
    assert (line["event"], line["address"], line["detail"]) == ("pdf password", ADDRESS, job.pdf_id)
    assert line["client"].startswith("admin:")
    assert said.out.strip() not in desk.audit("--json").out


def test_a_pdf_that_went_to_somebody_else_has_no_password_here(desk, spool):
    said = pdf(desk, "password", "--id", pdf_job(b"x").pdf_id, "--address", "eve@partner.example")
    odd = pdf(desk, "password", "--id", "0000", "--address", ADDRESS)

    assert (said.status, said.out) == (66, "")
    assert "no PDF of that id went to eve@partner.example" in said.err
    assert odd.status == 65
    assert "expected the id of a PDF" in odd.err


def test_a_pdf_is_made_by_hand_and_its_password_said(desk, tmp_path):
    (tmp_path / "a.eml").write_bytes(mail())

    def make(*words, given=b""):
        # It becomes the program that makes PDFs: not in this process.
        command = [sys.executable, "-c", "from messenger.cli import main; main()", "pdf", "make", *map(str, words)]
        settings = ["--config", str(desk.folder / "messenger.toml"), "--to", ADDRESS, "--out", str(tmp_path / "a.pdf")]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.run([*command, *settings], input=given, capture_output=True, env=environment, check=False)

    done = make(tmp_path / "a.eml")
    again = make("-", "--password", "x", given=mail())

    assert done.returncode == 0, done.stderr
    opened((tmp_path / "a.pdf").read_bytes(), done.stdout.decode().strip()).close()
    assert (again.returncode, again.stdout) == (73, b"")
    assert b"is there already" in again.stderr
