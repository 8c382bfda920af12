"""What a release is installed from: lock, constraints and setup.cfg say the same, and the SBOM tells all of it."""

import re
from importlib.metadata import distributions
from pathlib import Path

import pytest

from scripts import lock, sbom

ROOT = Path(__file__).parent.parent
CONSTRAINTS = lock.pins((ROOT / "constraints.txt").read_text())
RUN = lock.pins(lock.RUN.read_text())
BUILD = lock.pins(lock.BUILD.read_text())
INSTALLED = sbom.by_name([str(path) for path in {Path(found.locate_file("")) for found in distributions()}])


def test_the_lock_pins_what_the_constraints_pin():
    assert {name: CONSTRAINTS.get(name) for name in RUN | BUILD} == RUN | BUILD


def test_the_lock_holds_all_that_setup_cfg_asks_for_and_all_that_those_ask_for():
    asked = sbom.needs(INSTALLED)
    reached, queue = set(), [lock.canonical(re.split(r"[^\w.-]", line)[0]) for line in lock.wanted()]
    while queue:
        name = queue.pop()
        if name not in reached:
            reached.add(name)
            queue += asked[name]

    assert reached == set(RUN), "run `make lock`"


@pytest.mark.parametrize("path", [lock.RUN, lock.BUILD], ids=lambda path: path.name)
def test_each_file_in_the_lock_has_its_hash_and_no_place_it_comes_from(path):
    text = path.read_text()

    assert all(sbom.hashes(text)[name] for name in lock.pins(text))
    assert not re.search(r"://|^\s*-(?!-hash=sha256)", text, re.MULTILINE)
    assert text == f"{text.rstrip()}\n", "made again it is the same"


def test_setup_cfg_and_the_lock_agree_on_versions():
    requirement = pytest.importorskip("packaging.requirements").Requirement

    for line in lock.wanted():
        wish = requirement(line)
        assert RUN[lock.canonical(wish.name)] in wish.specifier


def test_the_bill_of_materials_has_what_cyclonedx_asks_for_and_every_licence():
    bill = sbom.bill("1.2.3", lock.RUN.read_text(), INSTALLED, 1_700_000_000)

    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", bill["serialNumber"])
    assert bill["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
    assert {lock.canonical(each["name"]): each["version"] for each in bill["components"]} == RUN
    for each in bill["components"]:
        assert each["type"] == "library"
        assert each["purl"] == each["bom-ref"] == f"pkg:pypi/{lock.canonical(each['name'])}@{each['version']}"
        assert each["licenses"], each["name"]
        # CycloneDX: either one expression, or licences.
        assert len(each["licenses"]) == 1 or all("license" in said for said in each["licenses"])
    refs = {each["bom-ref"] for each in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
    assert {each["ref"] for each in bill["dependencies"]} == refs
    assert {ref for each in bill["dependencies"] for ref in each["dependsOn"]} <= refs
    assert bill == sbom.bill("1.2.3", lock.RUN.read_text(), INSTALLED, 1_700_000_000)
