"""The list of what holds of the ASVS is complete, and leans on tests that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENT = (ROOT / "docs" / "asvs.md").read_text()
ROW = re.compile(r"^\| (V\d[\d.]*)(?:–(V\d[\d.]*))? \| ([12, ]+) \| ([^|]+) \| ([^|]+) \| ([^|]*) ?\|$", re.MULTILINE)
ROWS = ROW.findall(DOCUMENT)
LEVELS = dict(
    line.split() for line in (ROOT / "tests" / "asvs_ids.txt").read_text().splitlines() if not line.startswith("#")
)
IDS = list(LEVELS)


def meant(first: str, last: str) -> list[str]:
    return IDS[IDS.index(first) : IDS.index(last or first) + 1]


def test_the_standard_has_253_requirements_at_these_levels():
    assert (len(IDS), list(LEVELS.values()).count("1")) == (253, 70)


def test_every_requirement_has_one_line_in_the_order_of_the_standard():
    assert [one for first, last, *_ in ROWS for one in meant(first, last)] == IDS


def test_no_line_of_the_list_is_passed_over():
    assert len(ROWS) == len(re.findall(r"^\| V\d", DOCUMENT, re.MULTILINE))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_line_says_level_state_and_why(row):
    first, last, level, state, what, shown = row

    assert set(level.split(", ")) == {LEVELS[one] for one in meant(first, last)}
    assert state in ("holds", "partly", "doesn't hold", "doesn't apply")
    # What has no test says where it is written, or why there is none.
    assert shown.strip() or ": " in what or state == "doesn't apply"


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`(tests/[^`]+::[^`]+)`", DOCUMENT))))
def test_a_test_that_is_named_exists(named):
    path, _, name = named.partition("::")

    tree = ast.parse((ROOT / path).read_text())

    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_what_is_given_as_shown_is_the_name_of_a_test():
    for *_, shown in ROWS:
        assert re.fullmatch(r"(`tests/test_\w+\.py::test_\w+`(<br>)?)*", shown.strip())
