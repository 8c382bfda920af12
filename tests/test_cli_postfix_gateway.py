"""What setup does about the Postfix that a gateway serves: who is asked, in which order, and where mail goes."""

import smtplib
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from demo.postfix import CATCH, PostfixMissing, require
from messenger import config
from messenger.cli import bundle as bundles
from messenger.cli import postfix, postfix_apply, postfix_milters, postfix_plan
from messenger.cli.postfix import Plan
from messenger.cli.roles import Role
from messenger.cli.tunnel_files import recipient_certificate, sender_key
from messenger.mailbox import mailbox_of
from messenger.tunnel import key_sealing

from .cli_fixtures import messenger_fixture, setup_words  # noqa: F401
from .test_cli_postfix import Kept, home_fixture, parameter  # noqa: F401

try:
    require()
except PostfixMissing as error:
    pytest.skip(str(error), allow_module_level=True)

pytestmark = pytest.mark.postfix

DKIM = "inet:localhost:8891"
OPTIONS = "default_action=tempfail, content_timeout=300s"
MAIL = b"From: bob@example.com\r\nTo: anna@partner.example\r\nSubject: [secure] Plans\r\n\r\nNobody else\r\n"


def ours(site: Path, name: str) -> str:
    folder, socket = {"milter": ("milter", "milter.sock"), "gateway": ("gateway", "gateway.sock")}[name]
    return f"{{ unix:{site}/state/{folder}/{socket}, {OPTIONS} }}"


def mta(home: Path, name: str = "mta", **parameters: str) -> Kept:
    server = Kept(home / name, transport=CATCH, main_cf=parameters)
    server._write()
    return server


def applied(messenger, site: Path, server: Kept, *words: object):
    done = messenger(*words, "--config", site / "messenger.toml", "--apply", "--postfix-config", server.config_dir)
    assert done.status == 0, done.err
    return done


def both(site: Path, **changed: str) -> list[str]:
    return setup_words(site, role="both", webmail_recipient="webmail@portal.example", **changed)


@pytest.fixture(name="gateway")
def gateway_fixture(messenger, home, settings, monkeypatch):
    """Sets up a gateway in ``home/g``, from a bundle of the site in ``home/m``."""
    monkeypatch.setattr(key_sealing, "ROUNDS", 1000)
    made = bundles.make(settings, sender_key(settings), recipient_certificate(settings), b"correct horse battery")
    (home / "b.json").write_bytes(made)
    (home / "pw").write_text("correct horse battery")

    def run(server: Kept, *words: object):
        return applied(
            messenger, home / "g", server, "setup", "--non-interactive", "--role", "gateway",
            "--bundle", home / "b.json", "--bundle-password-file", home / "pw",
            "--fingerprint", bundles.groups(made), *words,
        )  # fmt: skip

    return run


@pytest.fixture(name="settings")
def settings_fixture(messenger, home):
    """Settings of a site whose webmail recipient has a domain apart."""
    messenger(*setup_words(home / "m", webmail_recipient="webmail@portal.example"))
    return config.load(home / "m" / "messenger.toml")


def planned(server: Kept, settings: config.Config, role: Role = Role.GATEWAY, next_hop: str | None = None) -> Plan:
    return postfix_plan.plan(postfix.inspect(server.config_dir), settings, role, next_hop)


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("", "OURS"),
        ("inet:localhost:1 , unix:x", "inet:localhost:1 , unix:x, OURS"),
        (f"inet:localhost:1 {DKIM}, unix:x", f"inet:localhost:1 OURS, {DKIM}, unix:x"),
        (
            "{ unix:opendkim.sock, default_action=accept }",
            "OURS, { unix:opendkim.sock, default_action=accept }",
        ),
        ("inet:a:1 ${signing} inet:b:2", "inet:a:1 OURS, ${signing} inet:b:2"),
        ("$other, inet:127.0.0.1:11332", "$other, OURS, inet:127.0.0.1:11332"),
    ],
)
def test_the_gateway_goes_before_what_signs_and_else_to_the_end(written, wanted):
    meaning = {"signing": "inet:localhost:8891", "other": "inet:c:3"}.get

    found = postfix_milters.with_ours(written, ["unix:g"], lambda name: meaning(name, ""), before_signer=True)

    assert found == wanted.replace("OURS", postfix_milters.entry("unix:g"))
    assert postfix_milters.signers_before("unix:g", found, lambda name: meaning(name, "")) == []


def test_a_gateway_is_asked_about_all_mail_before_it_is_signed_and_finds_messenger(home, gateway):
    more = {"non_smtpd_milters": "$smtpd_milters", "transport_maps": "static:x"}
    server = mta(home, smtpd_milters=f"inet:localhost:1, {DKIM}", **more)

    done = gateway(server, "--messenger-host", "mail.portal.example:2525")
    before = {path: path.read_bytes() for path in server.config_dir.iterdir()}
    again = gateway(server)

    assert parameter(server, "smtpd_milters") == f"inet:localhost:1, {ours(home / 'g', 'gateway')}, {DKIM}"
    assert parameter(server, "non_smtpd_milters") == "$smtpd_milters"
    assert parameter(server, "transport_maps") == f"hash:{server.config_dir}/webmail-messenger-transport, static:x"
    table = server.config_dir / "webmail-messenger-transport"
    assert table.read_text().splitlines()[1:] == ["portal.example smtp:[mail.portal.example]:2525"]
    assert "webmail-messenger" not in parameter(server, "virtual_alias_maps")
    assert "systemctl enable --now messenger-gateway" in done.out
    assert "nothing to change" in again.out
    assert {path: path.read_bytes() for path in server.config_dir.iterdir()} == before


def test_by_dns_nothing_leads_to_messenger_and_a_way_can_be_taken_out(home, settings):
    server = mta(home)
    table = server.config_dir / "webmail-messenger-transport"

    at_first = planned(server, settings)
    table.write_text(planned(server, settings, next_hop="smtp:[192.0.2.7]").tables[table])
    then, out = planned(server, settings), planned(server, settings, next_hop="")

    assert at_first.tables == {}
    assert set(at_first.parameters) == {"smtpd_milters", "non_smtpd_milters"}
    assert then.tables == {}
    assert "smtp:[192.0.2.7]" in table.read_text()
    assert "smtp:" not in out.tables[table]


def test_a_domain_that_people_have_mail_in_keeps_its_way(home, settings):
    server = mta(home, mydestination="portal.example")

    (table,) = planned(server, settings, next_hop="smtp:[mail.portal.example]").tables.values()

    assert table.splitlines()[1:] == ["webmail@portal.example smtp:[mail.portal.example]"]


def test_a_gateway_behind_a_signer_and_ports_that_ask_nobody_are_named(home, settings):
    server = mta(home, smtpd_milters=f"{DKIM}, unix:{settings.gateway.socket}")

    found = planned(server, settings)

    assert any(f"smtpd_milters asks {DKIM} before messenger-gateway" in text for text in found.warnings)
    assert any('smtpd_milters =": messenger-gateway does not see what' in text for text in found.warnings)
    assert "smtpd_milters" not in found.parameters


def test_smtp_that_comes_back_to_the_smtpd_that_asks_is_named(home, settings):
    server = mta(home)

    def said(smtp, role=Role.GATEWAY):
        wanted = replace(settings, gateway=replace(settings.gateway, smtp=smtp))
        return " ".join(planned(server, wanted, role).warnings)

    assert "it would wait for itself" in said(f"127.0.0.1:{server.port}")
    assert "it would wait for itself" not in said(f"localhost:{server.plain_port}")
    assert "[gateway] smtp" not in said(f"192.0.2.1:{server.port}")
    assert "an smtpd that doesn't ask the milter" in said(f"127.0.0.1:{server.plain_port}", Role.BOTH)


def test_both_ask_the_milter_first_in_both_lists(messenger, home):
    server = mta(home, smtpd_milters=DKIM)

    applied(messenger, home / "b", server, *both(home / "b"))
    again = applied(messenger, home / "b", server, "setup", "--non-interactive")

    milters = f"{ours(home / 'b', 'milter')}, {ours(home / 'b', 'gateway')}"
    assert parameter(server, "smtpd_milters") == f"{milters}, {DKIM}"
    assert parameter(server, "non_smtpd_milters") == milters
    assert "nothing to change" in again.out


def test_two_hosts_set_up_by_one_bundle_protect_a_mail(messenger, home, gateway):
    portal = mta(home, "portal")
    company = mta(home, "company")
    applied(messenger, home / "m", portal, "setup", "--non-interactive", "--sendmail", " ".join(portal.sendmail))
    gateway(company, "--messenger-host", f"127.0.0.1:{portal.port}", "--sendmail", " ".join(company.sendmail))
    (home / "m.eml").write_bytes(MAIL)
    programs = [("messenger-milter", "m"), ("messenger-gateway", "g")]
    services = [
        subprocess.Popen([Path(sys.executable).parent / name, "--config", home / folder / "messenger.toml"])
        for name, folder in programs
    ]
    try:
        with portal, company:
            for socket in ("m/state/milter/milter.sock", "g/state/gateway/gateway.sock"):
                _wait(lambda socket=socket: postfix_apply.answers(str(home / socket)))
            with smtplib.SMTP("127.0.0.1", company.port) as client:
                client.sendmail("bob@example.com", ["anna@partner.example"], MAIL)
            sendmail = [*company.sendmail, "-i", "-f", "bob@example.com", "otto@partner.example"]
            subprocess.run(sendmail, input=MAIL.replace(b"\r", b""), check=True)
            for person in ("anna", "otto"):
                _wait(lambda person=person: mailbox_of(home / "m" / "mail", f"{person}@partner.example").list())
            assert not any(b"Nobody else" in mail.raw for mail in (*company.caught(), *portal.caught()))
    finally:
        for service in services:
            service.terminate()
        for service in services:
            service.wait()


def _wait(ready, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "not ready in time"
        time.sleep(0.05)
