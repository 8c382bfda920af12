"""Postfix's own postmap answers from real tables; what fails makes mail wait."""

import shutil
import subprocess
from pathlib import Path

import pytest

from messenger.gateway import tables as module
from messenger.gateway.lookup import Levels
from messenger.gateway.policy import parse
from messenger.gateway.tables import TableError, Tables
from messenger.gateway.values import Setting, Settings

POSTMAP = shutil.which("postmap") or "/usr/sbin/postmap"
if not Path(POSTMAP).exists():
    pytest.skip("no Postfix here", allow_module_level=True)

ANNA, BOB = "anna@mail.partner.example", "bob@ours.example"
PEOPLE = f"""\
{ANNA} enabled=yes, otp_enabled=On
"a b"@partner.example encrypt_mode=force
mail.partner.example encrypt_mode=mandatory
*.partner.example enabled=no encrypt_mode=allow read_receipt=TRUE
größe@xn--bcher-kva.example enabled=1
odd@partner.example enabled=maybe
bad@partner.example yes
"""


@pytest.fixture
def postmap(tmp_path) -> tuple[str, ...]:
    """A Postfix configuration without a line: the machine's own may not be there."""
    (tmp_path / "main.cf").write_text("compatibility_level = 3.6\n")
    (tmp_path / "people").write_text(PEOPLE)
    return POSTMAP, "-c", str(tmp_path)


class Counted(Tables):
    asked = 0

    def ask(self, keys):
        self.asked += 1
        return super().ask(keys)


@pytest.mark.parametrize("kind", ["texthash", "hash"])
def test_postmap_answers_for_users_domains_and_wildcards(tmp_path, postmap, kind):
    if kind == "hash":
        subprocess.run([*postmap, f"hash:{tmp_path}/people"], check=True)
    table = f"{kind}:{tmp_path}/people"
    asked = Tables([table], 60, postmap)

    assert asked(ANNA).settings == {"enabled": True, "otp_enabled": True}
    assert asked('"a b"@partner.example').settings == {"encrypt_mode": "force"}
    assert asked("größe@xn--bcher-kva.example").settings == {"enabled": True}
    assert asked("nobody@elsewhere.example").settings == {}
    levels = Levels(parse("[global]\nread_receipt = false\n", Path("p")), asked, Settings())
    assert levels.mode_of(ANNA) == Setting("encrypt_mode", "mandatory", f"domain mail.partner.example ({table})")
    assert levels.setting("enabled", BOB, "ANNA@Mail.Partner.Example") == Setting(
        "enabled", True, f"user {ANNA} ({table})"
    )
    assert levels.setting("read_receipt", BOB, ANNA) == Setting(
        "read_receipt", True, f"domain *.partner.example ({table})"
    )


def test_a_table_of_expressions_answers_and_the_first_table_s_word_counts(tmp_path, postmap):
    (tmp_path / "patterns").write_text("/@mail\\.partner\\.example$/ enabled=no read_receipt=yes\n")
    first, second = f"regexp:{tmp_path}/patterns", f"texthash:{tmp_path}/people"

    answer = Tables([first, second], 60, postmap)(ANNA)

    assert answer.settings == {"enabled": False, "read_receipt": True, "otp_enabled": True}
    assert answer.tables == {"enabled": first, "read_receipt": first, "otp_enabled": second}


def test_postmap_is_run_once_for_an_address_and_its_domains_and_asked_again_in_time(tmp_path, postmap):
    now = [0.0]
    asked = Counted([f"texthash:{tmp_path}/people"], 60, postmap, lambda: now[0])
    levels = Levels(parse("", Path("p")), asked, Settings())

    levels.every(BOB, ANNA)
    levels.every(BOB, ANNA)
    assert asked.asked == 2  # sender, recipient
    levels.every(BOB, "ben@mail.partner.example")
    assert asked.asked == 3
    (tmp_path / "people").write_text(f"{ANNA} enabled=no\n")
    now[0] = 59.0
    assert levels.setting("enabled", BOB, ANNA).value is True
    now[0] = 61.0
    assert levels.setting("enabled", BOB, ANNA).value is False


def test_memory_of_answers_has_a_bound(tmp_path, postmap, monkeypatch):
    monkeypatch.setattr(module, "_REMEMBERED", 4)
    asked = Tables([f"texthash:{tmp_path}/people"], 60, postmap)

    assert asked("a@b.example").settings == asked("c@d.example").settings == {}
    assert asked(ANNA).settings["enabled"] is True
    assert len(asked._answers) <= 4 + 4


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("hash:/nonexistent", "No such file"),
        ("nosuch:/nonexistent", "unsupported dictionary type"),
        ("fail:down", "fail:down: can't be asked"),
        ("texthash:{folder}/people", 'odd@partner.example: enabled: expected yes or no (true or false), found "maybe"'),
    ],
)  # fmt: skip
def test_a_table_that_fails_or_cannot_be_understood_is_a_temporary_error(tmp_path, postmap, table, words):
    with pytest.raises(TableError) as caught:
        Tables([table.format(folder=tmp_path)], 60, postmap)("odd@partner.example")

    assert caught.value.temporary
    assert words in str(caught.value)


def test_nonsense_a_missing_postmap_and_one_that_hangs_are_temporary_too(tmp_path, postmap, monkeypatch):
    with pytest.raises(TableError, match="found 'yes'"):
        Tables([f"texthash:{tmp_path}/people"], 60, postmap)("bad@partner.example")
    with pytest.raises(TableError, match="install Postfix"):
        Tables(["texthash:/x"], 60, ("/nonexistent/postmap",))("a@b.example")
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.1)
    (tmp_path / "slow").write_text("#!/bin/sh\nsleep 5\n")
    (tmp_path / "slow").chmod(0o755)
    with pytest.raises(TableError, match="no answer"):
        Tables(["texthash:/x"], 60, (str(tmp_path / "slow"),))("a@b.example")


def test_a_failure_is_not_remembered(tmp_path, postmap):
    asked = Tables([f"texthash:{tmp_path}/later"], 60, postmap)
    with pytest.raises(TableError):
        asked(ANNA)

    (tmp_path / "later").write_text(PEOPLE)

    assert asked(ANNA).settings["enabled"] is True


def test_a_warning_about_something_else_is_no_failure(tmp_path, postmap):
    (tmp_path / "people").write_text(f"{ANNA} enabled=yes\n{ANNA} enabled=no\nnonsense\n")
    asked = Tables([f"texthash:{tmp_path}/people"], 60, postmap)

    assert asked("nobody@partner.example").settings == {}
