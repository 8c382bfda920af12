"""Which level's word counts, and where it was said."""

from pathlib import Path

import pytest

from messenger.gateway.lookup import Answer, Levels
from messenger.gateway.policy import parse
from messenger.gateway.values import Setting, Settings

DEFAULTS = Settings(webmail_recipient="webmail@portal.example", webmail_sender="sender@ours.example")
ANNA, BOB = "anna@mail.partner.example", "bob@ours.example"
#: Each place where a setting may stand, the narrowest first.
CHAIN = (
    ('user."anna@mail.partner.example"', "user anna@mail.partner.example"),
    ('user."bob@ours.example"', "user bob@ours.example"),
    ('domain."mail.partner.example"', "domain mail.partner.example"),
    ('domain."*.partner.example"', "domain *.partner.example"),
    ('domain."*.example"', "domain *.example"),
    ('domain."ours.example"', "domain ours.example"),
    ("global", "global"),
)


def levels(text: str, tables=None) -> Levels:
    return Levels(parse(text, Path("gateway.toml")), tables, DEFAULTS)


def test_the_narrowest_level_that_says_anything_wins_and_is_named():
    for at, (_, origin) in enumerate(CHAIN):
        # Each place says something else than those after it.
        text = "".join(
            f"[{place}]\nenabled = {str(number == at).lower()}\n"
            for number, (place, _) in enumerate(CHAIN)
            if number >= at
        )

        assert levels(text).setting("enabled", BOB, ANNA) == Setting("enabled", True, origin)

    assert levels("").setting("enabled", BOB, ANNA) == Setting("enabled", False, "factory")


def test_each_setting_is_looked_for_by_itself():
    found = levels(
        f'[user."{ANNA}"]\notp_enabled = true\n[domain."*.partner.example"]\nenabled = true\n'
        f'[user."{BOB}"]\nread_receipt = true\nwebmail_recipient = ""\n'
        '[global]\nwebmail_recipient = "other@portal.example"\n'
    ).every(BOB, ANNA)

    assert found == (
        Setting("enabled", True, "domain *.partner.example"),
        Setting("encrypt_mode", "allow", "factory"),
        Setting("only_if_mandatory", True, "factory"),
        Setting("read_receipt", True, "user bob@ours.example"),
        Setting("otp_enabled", True, "user anna@mail.partner.example"),
        # "" is a word too: that of [tunnel].
        Setting("webmail_recipient", "webmail@portal.example", "user bob@ours.example"),
        Setting("webmail_sender", "sender@ours.example", "factory"),
    )


def test_a_wildcard_means_subdomains_of_any_depth_and_not_the_domain_itself():
    found = levels('[domain."*.partner.example"]\nencrypt_mode = "mandatory"\n')

    for address, value in (
        ("a@x.partner.example", "mandatory"),
        ("a@y.x.partner.example", "mandatory"),
        ("a@partner.example", "allow"),
        ("a@otherpartner.example", "allow"),
        ("a@[192.0.2.1]", "allow"),
        ("@*.partner.example", "mandatory"),
        ("@*.x.partner.example", "mandatory"),
        ("@*.example", "allow"),
        ("", "allow"),
    ):
        assert found.mode_of(address).value == value


@pytest.mark.parametrize(
    "address",
    [
        "anna@bücher.example", "ANNA@BÜCHER.EXAMPLE", "<Anna@xn--bcher-kva.example>", '"anna"@Bu\u0308cher.example',
        '"an\\na"@XN--BCHER-KVA.example', "anna@bücher。example",
    ],
)  # fmt: skip
def test_an_address_is_found_in_any_spelling(address):
    found = levels(
        '[user."Anna@BÜCHER.example"]\notp_enabled = true\n[domain."bücher.Example"]\nencrypt_mode = "force"\n'
    )

    assert found.setting("otp_enabled", BOB, address).origin == "user anna@xn--bcher-kva.example"
    assert found.mode_of(address) == Setting("encrypt_mode", "force", "domain xn--bcher-kva.example")


@pytest.mark.parametrize(
    "address", ["a..b@partner.example", "<a b@partner.example>", "a@b@partner.example", "@partner.example"]
)
def test_what_is_no_address_has_its_domain_s_settings(address):
    found = levels('[domain."partner.example"]\nencrypt_mode = "mandatory"\n[global]\nencrypt_mode = "no-encryption"\n')

    assert found.mode_of(address).value == "mandatory"
    assert found.mode_of("nonsense@@").origin == found.mode_of("").origin == "global"


def test_of_two_modes_the_stricter_one_holds():
    order = ("mandatory", "force", "no-encryption", "allow")
    for one in order:
        for other in order:
            found = levels(f'[user."{BOB}"]\nencrypt_mode = "{one}"\n[user."{ANNA}"]\nencrypt_mode = "{other}"\n')
            winner = min(one, other, key=order.index)

            said = found.setting("encrypt_mode", BOB, ANNA)

            assert said.value == winner
            assert said.origin == (f"user {ANNA}" if other == winner else f"user {BOB}")


def test_a_table_is_asked_at_each_place_after_the_policy():
    known = {
        ANNA: {"enabled": True, "otp_enabled": True},
        "*.partner.example": Answer({"read_receipt": True}, {"read_receipt": "ldap:/etc/p.cf"}),
    }
    found = levels(
        f'[user."{ANNA}"]\nenabled = false\n[domain."*.partner.example"]\notp_enabled = false\n'
        "[global]\nread_receipt = false\n",
        lambda key: known.get(key, {}),
    )

    assert found.setting("enabled", BOB, ANNA) == Setting("enabled", False, f"user {ANNA}")
    assert found.setting("otp_enabled", BOB, ANNA) == Setting("otp_enabled", True, f"user {ANNA} (table)")
    assert found.setting("read_receipt", BOB, ANNA) == Setting(
        "read_receipt", True, "domain *.partner.example (ldap:/etc/p.cf)"
    )


def test_an_unknown_setting_is_a_mistake_of_ours():
    with pytest.raises(KeyError):
        levels("").setting("enable", BOB, ANNA)
