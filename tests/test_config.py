"""Settings: what a file may say, and what its author hears when it can't be used."""

import dataclasses
import re
from pathlib import Path

import pytest

from messenger import config
from messenger.config import Config, ConfigError
from messenger.config_lines import places
from messenger.config_reading import hints

EXAMPLE = Path(__file__).parent.parent / "config" / "messenger.toml.example"

REQUIRED = """\
[site]
portal_url = "https://webmail.example.com"
own_domains = ["example.com"]

[tunnel]
webmail_sender = "webmail-sender@example.com"
webmail_recipient = "webmail@example.com"

[notice]
mail_from = "webmail-notice@example.com"
"""


def parse(text: str) -> Config:
    return config.parse(text, Path("/etc/webmail-messenger/messenger.toml"))


def complaints(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return str(caught.value).splitlines()[1:]


def changed(old: str, new: str) -> str:
    assert old in REQUIRED
    return REQUIRED.replace(old, new)


def test_the_example_says_what_the_defaults_are():
    assert parse(EXAMPLE.read_text()) == parse(REQUIRED)


def test_the_example_names_each_key_once():
    named = {place for place in places(EXAMPLE.read_text()) if len(place) > 1}

    assert named == set(_keys(Config, ()))


def _keys(kind: type, place: tuple[str, ...]):
    for field in dataclasses.fields(kind):
        if len(place) > 0:
            yield (*place, field.name)
        inner = hints(kind)[field.name]
        if dataclasses.is_dataclass(inner):
            yield from _keys(inner, (*place, field.name))


def test_each_key_of_the_example_has_a_comment_above_it_or_above_its_neighbour():
    for block in re.split(r"\n(?=\[)", EXAMPLE.read_text())[1:]:
        assert block.splitlines()[1].startswith("# ")


def test_relative_paths_start_at_the_folder_of_the_file():
    settings = config.parse(REQUIRED + '[mail]\nroot = "mail"\n[intake]\nsocket = "m.sock"\n', Path("/srv/x/m.toml"))

    assert settings.mail.root == Path("/srv/x/mail")
    assert settings.intake.socket == "/srv/x/m.sock"
    assert settings.notice.link_key == Path("/srv/x/keys/link.key")
    assert settings.accounts.totp_key == Path("/srv/x/keys/totp.key")
    assert settings.tunnel.recipient_keys == (Path("/srv/x/keys/webmail-recipient.key"),)


def test_addresses_and_domains_have_one_spelling():
    settings = parse(changed('["example.com"]', '["Müller.Example"]').replace("webmail@ex", "Webmail@EX"))

    assert settings.site.own_domains == ("xn--mller-kva.example",)
    assert settings.tunnel.webmail_recipient == "webmail@example.com"


@pytest.mark.parametrize(
    ("written", "octets"),
    [("0", 0), ("5000000", 5_000_000), ('"2 GB"', 2 * 10**9), ('"1.5 GiB"', 3 * 2**29), ('"500mb"', 5 * 10**8)],
)
def test_a_quota_is_bytes_or_a_size_as_people_write_it(written, octets):
    assert parse(f"{REQUIRED}[mail]\nquota = {written}\n").mail.quota == octets


@pytest.mark.parametrize(
    "written", ["-1", '"much"', '"2 GBit"', '"-2 GB"', "true", "1.5", '"999999999999 TB"', '"١ GB"']
)
def test_a_quota_that_is_none_is_refused(written):
    assert "bytes, or a size such as" in complaints(f"{REQUIRED}[mail]\nquota = {written}\n")[0]


def test_a_slash_at_the_end_of_the_portal_url_is_forgiven():
    assert parse(changed('.com"\nown', '.com/"\nown')).site.portal_url == "https://webmail.example.com"


def test_all_errors_of_a_file_are_reported_together_each_with_its_line():
    text = 'hello = 1\n[site]\nportl_url = "https://x.example"\nown_domains = "example.com"\n'
    text += '[tunnel]\nallow_3des = "yes"\n'

    assert complaints(text) == [
        "  [notice] lacks mail_from: expected a mail address such as \"webmail@example.com\"",
        "  line 1: [hello]: unknown section; known here: site, mail, tunnel, intake, notice, accounts, reader, reply,"
        " pdf, gateway, metrics, log",
        "  line 2: [site] lacks portal_url: expected \"https://\" and a host name, no path (http only for localhost)",
        "  line 3: [site] portl_url: unknown key; did you mean portal_url?",
        "  line 4: [site] own_domains: expected domains such as [\"example.com\"], found 'example.com'",
        "  line 5: [tunnel] lacks webmail_recipient: expected a mail address such as \"webmail@example.com\"",
        "  line 5: [tunnel] lacks webmail_sender: expected a mail address such as \"webmail@example.com\"",
        "  line 6: [tunnel] allow_3des: expected true or false, found 'yes'",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("site", 'language = "english"'),
        ("site", 'time_zone = "Mars/Olympus"'),
        ("site", 'time_zone = "../../../etc/passwd"'),
        ("site", 'time_zone = "Europe"'),
        ("site", 'name = ""'),
        ("site", 'name = "two\\nlines"'),
        ("site", 'colour = "red"'),
        ("site", 'colour = "#fff"'),
        ("site", 'colour_dark = "#0f5c66;}"'),
        ("site", "logo = 1"),
        ("site", 'imprint_url = "javascript:alert(1)"'),
        ("site", 'imprint_url = "https://"'),
        ("site", 'privacy_url = "/privacy"'),
        ("site", 'privacy_url = "mailto:nobody"'),
        ("mail", 'root = ""'),
        ("mail", "root = 1"),
        ("mail", "root = 2026-11-24"),
        ("tunnel", "recipient_keys = []"),
        ("tunnel", "allow_sha1 = 1"),
        ("tunnel", 'sender_certificates = "keys/x.pem"'),
        ("tunnel.fields", 'sender = ["From:"]'),
        ("tunnel.fields", "sender = [1]"),
        ("tunnel.fields", 'sendr = ["X-Sender"]'),
        ("tunnel", "fields = 1"),
        ("intake", 'socket = "inet:8025"'),
        ("intake", 'socket = "inet:99999@localhost"'),
        ("intake", f'socket = "/{"s" * 107}"'),
        ("intake", 'aliases = ["nobody"]'),
        ("intake", "size_limit = true"),
        ("intake", "size_limit = 50.0"),
        ("intake", "size_limit = -1"),
        ("notice", "link_days = 0"),
        ("notice", 'sendmail = ["sendmail"]'),
        ("notice", "sendmail = []"),
        ("notice", 'smtp = "localhost"'),
        ("notice", 'smtp = "localhost:0"'),
        ("accounts", "idle_minutes = 0"),
        ("accounts", 'require_totp = "sometimes"'),
        ("accounts", "require_totp = true"),
        ("reply", 'compose_to = "anybody"'),
        ("reply", 'compose_list = ["anna"]'),
        ("reply", 'reply_from = "anna@example.com"'),
        ("reply", 'mail_from = "nobody"'),
        ("reply", "size_limit = 100"),
        ("reply", "per_hour = 0"),
        ("reader", 'listen = ":8025"'),
        ("reader", 'listen = "[::zz]:8025"'),
        ("reader", "workers = 0"),
    ],
)
def test_a_value_of_the_wrong_form_is_named_with_its_line(section, line):
    text = REQUIRED + f"\n[{section}]\n{line}\n"
    if f"[{section}]\n" in REQUIRED:
        text = REQUIRED.replace(f"[{section}]\n", f"[{section}]\n{line}\n")
    where = text.splitlines().index(line) + 1

    (complaint,) = complaints(text)

    assert complaint.startswith(f"  line {where}: [{section}] {line.split(' =')[0]}") or "[tunnel] fields" in complaint
    assert "expected" in complaint or "unknown" in complaint


@pytest.mark.parametrize(
    "url",
    [
        "http://webmail.example.com",
        "https://",
        "https://webmail.example.com/mail",
        "https://user@webmail.example.com",
        "https://webmail.example.com:0",
        "https://webmail.example.com:port",
        "https://web mail.example.com",
        "https://webmail.example.com\\r\\nX: y",
        "webmail.example.com",
        "javascript:alert(1)",
        "",
    ],
)
def test_a_portal_url_that_is_not_a_plain_https_host_is_refused(url):
    (complaint,) = complaints(changed("https://webmail.example.com", url))

    assert complaint.startswith("  line 2: [site] portal_url: expected")


def test_a_colour_nobody_can_read_is_refused_with_the_nearest_that_can():
    light, dark = complaints(changed("[site]\n", '[site]\ncolour = "#FFCC00"\ncolour_dark = "#004b93"\n'))

    assert light == (
        "  line 2: [site] colour: expected a contrast of at least 4.5:1 on light pages (WCAG 2.2), found #ffcc00 with"
        ' 1.4:1; the nearest that can be read is "#856a00"'
    )
    assert dark.startswith("  line 3: [site] colour_dark: expected a contrast of at least 4.5:1 on dark pages")
    better = changed("[site]\n", '[site]\ncolour = "#856A00"\nimprint_url = "mailto:help@example.com"\n')
    assert parse(better).site.colour == "#856a00"


@pytest.mark.parametrize("url", ["http://localhost:8025", "http://127.0.0.1:8025", "http://[::1]:8025"])
def test_http_will_do_on_this_machine(url):
    assert parse(changed("https://webmail.example.com", url)).site.portal_url == url


def test_each_certificate_needs_its_key():
    (complaint,) = complaints(changed("[notice]", 'recipient_certificates = ["a.pem", "b.pem"]\n[notice]'))

    assert "expected one for each of the 2 recipient_certificates, found 1" in complaint


@pytest.mark.parametrize(
    ("lines", "key"),
    [
        ('compose_list = ["anna@elsewhere.example"]', "compose_list"),
        ('compose_to = "list"', "compose_list"),
        ('sign_key = "sign.key"', "sign_certificate"),
        ('sign_certificate = "sign.pem"', "sign_key"),
        ("encrypt_subject = true", "encrypt_subject"),
        ('sign_certificate = "s.pem"\nsign_key = "keys/webmail-recipient.key"', "sign_key"),
    ],
)
def test_settings_for_replies_fit_together(lines, key):
    [complaint] = complaints(REQUIRED + "[reply]\n" + lines)

    assert f"[reply] {key}: expected" in complaint


def test_the_two_ends_of_the_tunnel_and_the_notice_have_addresses_of_their_own():
    same = REQUIRED.replace("webmail-sender@", "webmail@").replace("webmail-notice@", "webmail@")

    assert [complaint.split(":")[0] for complaint in complaints(same)] == ["  line 7", "  line 10"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[site]\nname = Messenger\n", 2),
        ("[site\n", 1),
        ('x = """\nnever\nends', 3),
        ("a = 1\na = 2\n", 2),
        ("a = [\n" + "[" * 5000, 2),
        ("a = 1" + "0" * 5000, 1),
    ],
)
def test_a_file_that_is_not_toml_is_named_with_the_line(text, line):
    with pytest.raises(ConfigError, match=rf"messenger\.toml, line {line}: not TOML"):
        parse(text)


def test_a_file_that_is_not_utf_8_is_named_with_the_line(tmp_path):
    (tmp_path / "m.toml").write_bytes(b'[site]\nname = "M\xfcller"\n')

    with pytest.raises(ConfigError, match=r"m\.toml, line 2: not UTF-8"):
        config.load(tmp_path / "m.toml")


def test_without_settings_the_wizard_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"Run `messenger setup`"):
        config.load(tmp_path / "messenger.toml")


def test_a_folder_in_place_of_the_file_is_a_sentence_too(tmp_path):
    with pytest.raises(ConfigError, match="can't be read"):
        config.load(tmp_path)


def test_a_file_from_windows_is_read(tmp_path):
    (tmp_path / "m.toml").write_bytes(b"\xef\xbb\xbf" + REQUIRED.replace("\n", "\r\n").encode())

    assert config.load(tmp_path / "m.toml").site.own_domains == ("example.com",)


def test_the_option_wins_over_the_environment_and_that_over_etc(tmp_path, monkeypatch):
    monkeypatch.delenv(config.VARIABLE, raising=False)
    assert config.settings_path(None) == Path("/etc/webmail-messenger/messenger.toml")

    monkeypatch.setenv(config.VARIABLE, str(tmp_path / "a.toml"))
    assert config.settings_path(None) == tmp_path / "a.toml"
    assert config.settings_path(tmp_path / "b.toml") == tmp_path / "b.toml"


def test_lines_are_found_past_comments_lists_and_long_texts():
    text = '# [no]\na.b = [ # ]\n  "]", {x = 1},\n]\n[t] # [u]\n'
    text += 'long = """\nkey = 1\n[v]\\"""\n"""\n"q.k" = \'#\'\n[[t.list]]\nc=1\n[t.list.d]\ne=1\n[[t.list]]\nc=2\n'

    assert places(text) == {
        ("a",): 2, ("a", "b"): 2, ("t",): 5, ("t", "long"): 6, ("t", "q.k"): 10, ("t", "list"): 11,
        ("t", "list", "0"): 11, ("t", "list", "0", "c"): 12, ("t", "list", "0", "d"): 13,
        ("t", "list", "0", "d", "e"): 14, ("t", "list", "1"): 15, ("t", "list", "1", "c"): 16,
    }  # fmt: skip
