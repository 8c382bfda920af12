"""messenger-pdfotp shows systemd that it lives, and reads its files again at SIGHUP, between two PDFs."""

import signal

import pytest

from messenger.pdf_spool import Spool

from .milter_fixtures import Process, Site
from .pdf_fixtures import job, mail, renderer
from .systemd_fixtures import alive, systemd_fixture
from .test_pdfotp_work import KEY, wait_for

__all__ = ["renderer", "systemd_fixture"]

STUCK = "import time, messenger_pdfotp.service as s; s._round = lambda *_: time.sleep(60)"


@pytest.fixture(name="site")
def site_fixture(tmp_path):
    site = Site(tmp_path / "home")
    (site.home / "keys" / "pdf.key").write_text(KEY.hex())
    return site


def started(site, systemd, code=""):
    process = Process(site, code=code, module="messenger_pdfotp.service")
    process.wait_log("making PDFs of", 60)
    systemd.wait("READY=1")
    return process


def test_it_lives_reloads_what_can_be_used_and_keeps_what_it_has_where_a_file_is_wrong(systemd, site):
    process = started(site, systemd)
    text = site.settings.read_text()
    try:
        lives = alive(systemd)
        site.settings.write_text(text.replace("[pdf]", "[pdf]\ntries = 0"))
        process.popen.send_signal(signal.SIGHUP)
        process.wait_log("not reloaded, all goes on as before: ")
        systemd.wait("READY=1")
        site.settings.write_text(text.replace("[site]", '[site]\nname = "Another name"'))
        process.popen.send_signal(signal.SIGHUP)
        process.wait_log("reloaded: settings")
        systemd.wait("READY=1")
        Spool(site.home / "pdf").put(job(mail()))
        sent = wait_for(site.notices)
    finally:
        status = process.stop(seconds=60)

    assert lives >= 2
    assert "tries" in process.text()
    assert b"Another name" in sent[0]
    assert status == 0


def test_one_that_is_stuck_shows_no_life(systemd, site):
    process = started(site, systemd, STUCK)
    try:
        systemd.wait("WATCHDOG=1")  # of before

        assert alive(systemd) == 0
    finally:
        process.stop(signal.SIGKILL)


def test_each_document_that_is_begun_is_a_sign_of_life(renderer):
    begun = []
    renderer._begun = lambda: begun.append(1)
    try:
        renderer.render("<html lang='en'><title>-</title><p>-</p>", "", "00")
    finally:
        renderer._begun = lambda: None

    assert begun == [1]
