"""The two milters show systemd that they live, and read their files again at SIGHUP."""

import shutil
import signal
import time

import pytest

from messenger.tunnel import SenderKey

from .gateway_fixtures import SECRET, Client, Gateway
from .gateway_fixtures import running as gateway_running
from .milter_fixtures import ALIAS, Mta, Site, pair, running, write_pair
from .systemd_fixtures import alive, systemd_fixture  # noqa: F401
from .test_metrics_reader import ports, samples, shown

SILENT = "import messenger_milter.heartbeat as h; h._beat = lambda *_: print('beat', flush=True)"
STUCK = "import time, messenger_milter.connection as c; c.Connection.negotiate = lambda *_: time.sleep(60)"
NOT_RELOADED = "not reloaded, all goes on as before: "


@pytest.fixture(name="site")
def site_fixture(tmp_path):
    return Site(tmp_path / "home")


def hang_up(process, text="reloaded: "):
    """Ask for a reload and wait for what the log says of it."""
    seen = process.text().count(text)
    process.popen.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 15
    while process.text().count(text) == seen:
        assert process.popen.poll() is None, process.text()
        assert time.monotonic() < deadline, process.text()
        time.sleep(0.02)


def test_a_milter_shows_that_it_lives_and_does_so_while_it_works_and_after_a_reload(systemd, site):
    with running(site) as process:
        systemd.wait("READY=1")
        first = alive(systemd)
        hang_up(process)
        systemd.wait("RELOADING=1")
        systemd.wait("READY=1")
        with Mta(site.socket) as mta:
            answer = mta.send(site.tunnel_mail())
        later = alive(systemd)
        status = process.stop()
        systemd.wait("STOPPING=1")

    assert min(first, later) >= 2
    assert answer.action == "discard"
    assert status == 0


def test_a_milter_that_answers_nobody_shows_no_life_though_its_threads_run(systemd, site):
    with running(site, code=STUCK) as process:
        systemd.wait("READY=1")

        assert alive(systemd) == 0
        assert process.popen.poll() is None


def test_without_systemd_a_milter_asks_itself_nothing(site):
    with running(site, code=SILENT) as process:
        assert "beat" not in process.text()


def test_a_new_sender_certificate_counts_from_a_reload_on_and_nobody_is_turned_away(site):
    certificate, key = pair("sender", "gateway@example.com", 1)
    foreign = site.tunnel_mail(sender=SenderKey(certificate, key))
    with running(site) as process, Mta(site.socket) as before:
        with Mta(site.socket) as mta:
            refused = mta.send(foreign)
        write_pair(site.home / "keys" / "second", certificate, key)
        site.write(sender_certificates='["keys/second.pem", "keys/sender.pem"]')
        hang_up(process)
        with Mta(site.socket) as mta:
            taken = mta.send(foreign)
        # Who was connected goes on with what was read when they came.
        old = before.send(foreign)

    assert (refused.action, taken.action, old.action) == ("reject", "discard", "reject")
    assert len(site.stored()) == 1


def test_a_wrong_file_leaves_all_as_it_was_in_one_clear_line_and_the_service_ready(systemd, site):
    text, link_key = site.settings.read_text(), site.home / "keys" / "link.key"
    certificate = site.home / "keys" / "sender.pem"
    good = {path: path.read_bytes() for path in (site.settings, certificate, link_key)}
    (site.home / "own").mkdir()
    (site.home / "own" / "notice.txt").write_text("{{ nothing }}")
    wrongs = {
        "colour": (site.settings, text.replace("[intake]", "[intake]\ncolour = 1\nlink = 2")),
        "sender.pem": (certificate, "not a certificate"),
        "link.key": (link_key, "not a key"),
        "notice.txt": (site.settings, text + 'templates = "own"\n'),
    }
    answers = []
    with running(site) as process:
        systemd.wait("READY=1")
        for number, (path, content) in enumerate(wrongs.values()):
            path.write_text(content)
            hang_up(process, NOT_RELOADED)
            path.write_bytes(good[path])
            systemd.wait("RELOADING=1")
            systemd.wait("READY=1")
            with Mta(site.socket) as mta:
                answers.append(mta.send(site.tunnel_mail(mail_from=f"sam{number}@example.com")).action)
        lines = [line for line in process.text().splitlines() if NOT_RELOADED in line]

    assert answers == ["discard"] * len(wrongs)
    assert len(lines) == len(wrongs)
    assert all(name in line for name, line in zip(wrongs, lines, strict=True))
    assert len(site.notices()) == len(wrongs)


def test_settings_that_count_from_a_start_are_named_and_the_others_taken(site):
    with running(site) as process:
        site.intake["aliases"] = '["other@portal.example"]'
        site.write()
        site.settings.write_text(site.settings.read_text().replace('ledger = "ledger"', 'ledger = "elsewhere"'))
        hang_up(process)
        with Mta(site.socket) as mta:
            new = mta.send(site.tunnel_mail(), "other@portal.example")
            old = mta.send(site.tunnel_mail(), ALIAS)
        text = process.text()

    assert "[intake] ledger was changed: that counts after a restart" in text
    assert (new.action, old.action) == ("discard", "accept")
    assert (site.home / "ledger").is_dir()
    assert not (site.home / "elsewhere").exists()


def test_many_reloads_at_once_stop_nothing_and_a_stop_is_a_stop(site):
    with running(site) as process:
        for _ in range(50):
            process.popen.send_signal(signal.SIGHUP)
            time.sleep(0.01)
        hang_up(process)
        with Mta(site.socket) as mta:
            answer = mta.send(site.tunnel_mail())
        status = process.stop()

    assert answer.action == "discard"
    assert status == 0


def test_a_gateway_lives_reloads_and_keeps_what_it_has_where_a_file_is_wrong(systemd, tmp_path):
    gateway = Gateway(tmp_path / "home")
    with gateway_running(gateway) as process:
        systemd.wait("READY=1")
        lives = alive(systemd)
        gateway.write(recipient_certificate='"keys/none.pem"')
        hang_up(process, NOT_RELOADED)
        with Client(gateway.socket) as client:
            protected = client.send(SECRET, "ann@example.org")
        gateway.write(mode='"observe"')
        hang_up(process)
        with Client(gateway.socket) as client:
            observed = client.send(SECRET, "ann@example.org")
        (line,) = (line for line in process.text().splitlines() if NOT_RELOADED in line)

    assert lives >= 2
    assert "keys/none.pem: there is no such file" in line
    assert (protected.action, observed.action) == ("discard", "accept")
    assert len(gateway.sent()) == 1


def test_metrics_count_on_over_a_reload(site):
    port = ports()
    text = site.settings.read_text() + f'[metrics]\nlisten = "127.0.0.1:{port}"\n'
    site.settings.write_text(text)
    with running(site) as process, Mta(site.socket) as mta:
        mta.send(site.tunnel_mail())
        shutil.copy(site.home / "keys" / "sender.pem", site.home / "keys" / "again.pem")
        site.settings.write_text(text.replace('["keys/sender.pem"]', '["keys/again.pem", "keys/sender.pem"]'))
        hang_up(process)
        with Mta(site.socket) as later:
            later.send(site.tunnel_mail(mail_from="tom@example.com"))
        found = samples(shown(port + 1))

    assert found["messenger_mails_total", "", "kept"] == 2
    assert found["messenger_certificate_expires_seconds", "tunnel.sender_certificates[1]"] > 0
