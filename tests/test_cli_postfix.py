"""What setup says and does about an existing Postfix, tried on a real one."""

import smtplib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from demo.postfix import CATCH, PostfixMissing, PrivatePostfix, require
from messenger import config
from messenger.cli import postfix, postfix_apply
from messenger.cli.status import Failed
from messenger.mailbox import mailbox_of

from .cli_fixtures import MAIL, messenger_fixture, setup_words  # noqa: F401

try:
    require()
except PostfixMissing as error:
    pytest.skip(str(error), allow_module_level=True)

pytestmark = pytest.mark.postfix

#: How a site may hold the webmail recipient's domain; each knows its own people by a list.
CLASSES = {
    "mydestination": {"mydestination": "portal.example", "local_recipient_maps": "hash:{home}/people"},
    "virtual_mailbox_domains": {
        "virtual_mailbox_domains": "portal.example",
        "virtual_mailbox_maps": "hash:{home}/people",
    },
    "relay_domains": {"relay_domains": "portal.example", "relay_recipient_maps": "hash:{home}/people"},
    "virtual_alias_domains": {
        "virtual_alias_domains": "portal.example",
        "virtual_alias_maps": "hash:{home}/people",
    },
    "none": {},
    "none, with alias domains of its own": {"virtual_alias_domains": "other.example"},
}


@pytest.fixture(name="home")
def home_fixture():
    """Short and open to others: Postfix and the milter's socket want that."""
    with tempfile.TemporaryDirectory(prefix="p") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


class Kept(PrivatePostfix):
    """Starts with what stands in its folder, instead of writing it anew."""

    def _write(self) -> None:
        if not (self.config_dir / "main.cf").exists():
            super()._write()


def _bare(config_dir: Path) -> Path:
    """A Postfix configuration without a line: the machine's own may not be there."""
    config_dir.mkdir(exist_ok=True)
    (config_dir / "main.cf").touch()
    return config_dir


@pytest.fixture
def mta(home):
    """A private Postfix, not started, that relays for nobody."""

    def make(**parameters: str) -> PrivatePostfix:
        (home / "people").write_text("joe@portal.example joe@elsewhere.example\n")
        postmap = ["postmap", "-c", str(_bare(home / "bare")), f"hash:{home / 'people'}"]
        subprocess.run(postmap, check=True)
        strict = {
            "mynetworks": "192.0.2.1",
            "smtpd_relay_restrictions": "reject_unauth_destination",
            "virtual_mailbox_domains": "",  # else the table that catches what leaves makes every domain ours
        }
        return Kept(
            home / "mta",
            transport=CATCH,
            main_cf=strict | {name: value.format(home=home) for name, value in parameters.items()},
        )

    return make


def started_site(messenger, home, mta, **changed):
    """Write the Postfix's files, run setup --apply on them, and return what setup said."""
    mta._write()
    return messenger(
        *setup_words(home / "site", webmail_recipient="webmail@portal.example", **changed),
        "--apply", "--postfix-config", mta.config_dir,
    )  # fmt: skip


def parameter(mta, name):
    return postfix.ask(mta.config_dir, "-h", name).strip()


def rcpt(port, address):
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.ehlo()
        client.mail("webmail-sender@example.com")
        return client.rcpt(address)[0]


@pytest.mark.parametrize("kind", CLASSES)
def test_postfix_knows_the_webmail_recipient_whatever_it_does_with_that_domain(messenger, home, mta, kind):
    server = mta(**CLASSES[kind])

    done = started_site(messenger, home, server)

    assert done.status == 0, done.err
    with server:
        assert rcpt(server.plain_port, "webmail@portal.example") == 250
        assert rcpt(server.plain_port, "nobody@portal.example") == 550
        assert rcpt(server.plain_port, "x@elsewhere.example") == 554
        if not kind.startswith("none"):
            assert rcpt(server.plain_port, "joe@portal.example") == 250


def test_a_mail_that_comes_past_the_milter_waits_and_goes_to_nobody(messenger, home, mta):
    server = mta(virtual_mailbox_domains="portal.example", virtual_mailbox_maps="static:all/",
                 virtual_alias_maps="regexp:{home}/all")  # fmt: skip
    (home / "all").write_text("/@portal.example$/ caught@elsewhere.example\n")
    started_site(messenger, home, server)

    with server:
        with smtplib.SMTP("127.0.0.1", server.plain_port) as client:
            client.sendmail("webmail-sender@example.com", ["webmail@portal.example"], MAIL)
        deadline = time.monotonic() + 10
        while "status=" not in server.log.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)

        assert "status=deferred (connect to mail.portal.test[" in server.log.read_text()
        assert "not-taken-by-the-milter]: No such file" in server.log.read_text()
        assert server.caught() == []


def test_while_the_milter_is_away_every_mail_is_told_to_come_again(messenger, home, mta):
    server = mta()
    done = started_site(messenger, home, server)

    with server, smtplib.SMTP("127.0.0.1", server.port) as client:
        client.ehlo()
        assert client.mail("webmail-sender@example.com")[0] == 451
    assert "until it does, Postfix tells every sender to try again later" in done.out


def test_after_setup_a_tunnel_mail_lands_in_a_mailbox(messenger, home, mta):
    server = mta()
    started_site(messenger, home, server, sendmail=" ".join(server.sendmail))
    settings = home / "site" / "messenger.toml"
    tunnel_mail = messenger("tunnel", "wrap", "-", "--to", "anna@example.net", "--config", settings, given=MAIL).out
    milter = subprocess.Popen([Path(sys.executable).parent / "messenger-milter", "--config", settings])
    try:
        with server:
            _wait(lambda: postfix_apply.answers(config.load(settings).intake.socket))
            with smtplib.SMTP("127.0.0.1", server.port) as client:
                client.sendmail("webmail-sender@example.com", ["webmail@portal.example"], tunnel_mail.encode())
    finally:
        milter.terminate()
        milter.wait()

    assert len(mailbox_of(home / "site" / "mail", "anna@example.net").list()) == 1


def test_a_postfix_that_does_not_run_is_said_to_be_started(messenger, home, mta, monkeypatch):
    monkeypatch.setattr(postfix_apply, "answers", lambda socket: True)

    done = started_site(messenger, home, mta())

    assert done.status == 0
    assert "Postfix isn't running" in done.out


def test_applying_twice_changes_nothing_the_second_time(messenger, home, mta):
    server = mta(smtpd_milters="inet:localhost:8891")
    started_site(messenger, home, server)
    before = {path: path.read_bytes() for path in server.config_dir.iterdir()}

    again = started_site_again(messenger, home, server)

    assert again.status == 0
    assert f"Postfix ({server.config_dir}): nothing to change" in again.out
    assert {path: path.read_bytes() for path in server.config_dir.iterdir()} == before


def started_site_again(messenger, home, server):
    return messenger("setup", "--non-interactive", "--config", home / "site" / "messenger.toml", "--apply",
                     "--postfix-config", server.config_dir)  # fmt: skip


def test_what_postfix_has_already_is_added_to(messenger, home, mta):
    (home / "aliases").write_text("")
    server = mta(smtpd_milters="inet:localhost:8891 $more", more="unix:other", transport_maps="hash:{home}/people",
                 virtual_alias_maps="texthash:{home}/aliases")  # fmt: skip

    started_site(messenger, home, server)

    socket = home / "site" / "state" / "milter" / "milter.sock"
    ours = f"{{ unix:{socket}, default_action=tempfail, content_timeout=300s }}"
    assert parameter(server, "smtpd_milters") == f"inet:localhost:8891 $more, {ours}"
    folder = server.config_dir
    assert parameter(server, "transport_maps") == f"hash:{folder}/webmail-messenger-transport, hash:{home}/people"
    assert (
        parameter(server, "virtual_alias_maps") == f"hash:{folder}/webmail-messenger-virtual, texthash:{home}/aliases"
    )


def test_a_milter_that_is_there_already_is_not_added_twice(messenger, home, mta):
    socket = home / "site" / "state" / "milter" / "milter.sock"
    server = mta(smtpd_milters="$mine", mine=f"unix:{socket}")

    started_site(messenger, home, server)

    assert parameter(server, "smtpd_milters") == "$mine"


def test_an_smtpd_that_the_site_keeps_for_the_tunnel_is_enough(messenger, home, mta):
    server = mta()
    server._write()
    socket = home / "site" / "state" / "milter" / "milter.sock"
    with (server.config_dir / "master.cf").open("a") as file:
        file.write(f"127.0.0.1:2 inet n - n - - smtpd\n  -o {{ smtpd_milters = unix:{socket} }}\n")

    done = started_site(messenger, home, server)

    assert parameter(server, "smtpd_milters") == ""
    assert "127.0.0.1:2/inet" not in done.out


def test_only_root_changes_postfix(messenger, home, mta, monkeypatch):
    server = mta()
    server._write()
    monkeypatch.setattr(postfix_apply.os, "geteuid", lambda: 1000)

    done = started_site(messenger, home, server)

    assert done.status == 77
    assert "run it as root, or without --apply" in done.err


def test_the_old_files_are_kept(messenger, home, mta):
    server = mta()
    server._write()
    old = (server.config_dir / "main.cf").read_bytes()

    started_site(messenger, home, server)

    (copy,) = server.config_dir.glob("main.cf.2*")
    assert copy.read_bytes() == old
    assert len(list(server.config_dir.glob("master.cf.2*"))) == 1


def test_a_change_that_postfix_refuses_is_taken_back(messenger, home, mta, monkeypatch):
    server = mta()
    server._write()
    old = {name: (server.config_dir / name).read_bytes() for name in ("main.cf", "master.cf")}
    answers = iter(["", "fatal: bad parameter"])
    monkeypatch.setattr(postfix_apply, "_check", lambda server: next(answers))

    done = started_site(messenger, home, server)

    assert done.status == 69
    assert "main.cf and master.cf are as before: fatal: bad parameter" in done.err
    assert {name: (server.config_dir / name).read_bytes() for name in old} == old


def test_a_postfix_that_is_broken_already_is_left_alone(messenger, home, mta):
    server = mta(queue_directory="/nonexistent/queue")
    server._write()
    old = (server.config_dir / "main.cf").read_bytes()

    done = started_site(messenger, home, server)

    assert done.status == 69
    assert "mend that first" in done.err
    assert (server.config_dir / "main.cf").read_bytes() == old


def test_the_printed_lines_do_what_apply_does(messenger, home, mta):
    printed, applied = mta(), PrivatePostfix(home / "other", transport=CATCH)
    printed._write()
    applied._write()
    words = setup_words(home / "site")
    said = messenger(*words, "--postfix-config", printed.config_dir).out
    script = said[said.index("cat > ") :].replace(f"postfix -c {printed.config_dir} reload", "")

    subprocess.run(["sh", "-eu"], input=script, text=True, check=True, env={"PATH": "/usr/sbin:/usr/bin:/bin"})
    messenger(*words, "--apply", "--postfix-config", applied.config_dir)

    for name in ("smtpd_milters", "virtual_alias_maps", "transport_maps", "virtual_alias_domains"):
        assert parameter(printed, name).replace("/mta/", "/other/") == parameter(applied, name), name
    for name in ("webmail-messenger-virtual", "webmail-messenger-transport"):
        assert (printed.config_dir / name).read_text() == (applied.config_dir / name).read_text()


def test_a_domain_that_people_have_mail_in_is_never_taken_over(messenger, home, mta):
    server = mta()
    server._write()

    done = messenger(*setup_words(home / "site", webmail_recipient="webmail@example.com"), "--apply",
                     "--postfix-config", server.config_dir)  # fmt: skip

    assert "takes mail to webmail@example.com only from mynetworks" in done.out
    table = server.config_dir / "webmail-messenger-virtual"
    asked = ["postmap", "-c", server.config_dir, "-q", "example.com", f"hash:{table}"]
    assert subprocess.run(asked, check=False).returncode == 1


@pytest.mark.parametrize(
    ("parameters", "warned"),
    [
        ({"message_size_limit": "10240000"}, "messages over 5389473 bytes would not pass"),
        ({"message_size_limit": "10240000", "mailbox_size_limit": "20000000"}, "mailbox_size_limit=52428800"),
        ({"message_size_limit": "0"}, ""),
    ],
)
def test_a_size_limit_of_postfix_that_is_too_small_is_named(messenger, home, mta, parameters, warned):
    server = mta(**parameters)

    done = started_site(messenger, home, server)

    assert done.status == 0, done.err
    assert warned in done.out
    assert bool(warned) == ("message_size_limit" in done.out)


def test_services_with_milters_of_their_own_are_named(messenger, home, mta):
    done = started_site(messenger, home, mta())

    assert '/inet/smtpd_milters =": the milter does not see what comes in there' in done.out


def test_a_folder_without_postfix_settings_is_a_sentence(messenger, home):
    done = messenger(*setup_words(home / "site"), "--apply", "--postfix-config", home)

    assert done.status == 69
    assert "main.cf: not there" in done.err


def test_sockets_are_spelled_as_postfix_does():
    queue = Path("/var/spool/postfix")

    assert [
        postfix.milter_address(socket, queue)
        for socket in ("/var/spool/postfix/webmail-messenger/milter.sock", "/run/m.sock", "inet:9000@127.0.0.1",
                       "inet6:9000@[::1]", "inet:9000@localhost")
    ] == ["unix:webmail-messenger/milter.sock", "unix:/run/m.sock", "inet:127.0.0.1:9000", "inet:[::1]:9000",
          "inet:localhost:9000"]  # fmt: skip


def test_a_postconf_that_fails_is_a_sentence(tmp_path):
    with pytest.raises(Failed, match="postconf: "):
        postfix.ask(tmp_path, "-h", "queue_directory")


def test_setup_reads_a_milter_inside_the_queue_as_relative(messenger, home, mta):
    server = mta()
    server._write()
    socket = server.queue / "webmail-messenger" / "milter.sock"

    done = started_site(messenger, home, server, milter_socket=str(socket))

    assert done.status == 0, done.err
    assert "unix:webmail-messenger/milter.sock" in parameter(server, "smtpd_milters")
    transport = (server.config_dir / "webmail-messenger-transport").read_text()
    assert "lmtp:unix:webmail-messenger/not-taken-by-the-milter" in transport


def _wait(ready, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "not ready in time"
        time.sleep(0.05)
