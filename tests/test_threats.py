"""The list of threats leaves no process out and no letter of STRIDE, and leans on tests that exist."""

import ast
import configparser
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SECTION = (ROOT / "docs" / "security.md").read_text().partition("\n## Threats, one by one\n")[2].partition("\n## ")[0]
PARTS = {
    head: re.findall(r"^\| (\w*) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", rows, re.MULTILINE)
    for head, rows in re.findall(r"^### (.+?)\n(.*?)(?=^### |\Z)", SECTION, re.MULTILINE | re.DOTALL)
}


def processes() -> set[str]:
    setup_cfg = configparser.ConfigParser()
    setup_cfg.read(ROOT / "setup.cfg")
    scripts = setup_cfg["options.entry_points"]["console_scripts"].strip().splitlines()
    return {line.partition("=")[0].strip() for line in scripts}


def test_every_process_is_gone_through_by_each_letter():
    assert processes() <= set(PARTS)
    for process in processes():
        assert {letter for letter, *_ in PARTS[process] if letter} == set("STRIDE"), process


@pytest.mark.parametrize("part", PARTS)
def test_everything_else_is_looked_at_for_change_for_what_gets_out_and_for_standstill(part):
    assert {"T", "I", "D"} <= {letter for letter, *_ in PARTS[part]}


def test_no_line_of_the_list_is_passed_over():
    lines = [line for line in SECTION.splitlines() if line.startswith("| ") and not line.startswith("| | threat")]

    assert len(lines) == sum(1 for rows in PARTS.values() for letter, *_ in rows if letter in tuple("STRIDE"))


def test_each_counter_is_shown_by_a_test_that_exists():
    missing = []
    for rows in PARTS.values():
        for letter, threat, _, shown in rows:
            named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", shown)
            for path, name in named:
                tree = (
                    ast.parse((ROOT / "tests" / path).read_text())
                    if (ROOT / "tests" / path).exists()
                    else ast.parse("")
                )
                if name not in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}:
                    missing.append(f"{path}::{name}")
            if letter and threat != "threat" and not named:
                missing.append(f"{threat}: no test")

    assert missing == []
