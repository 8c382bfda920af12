"""Write what is in a release as CycloneDX 1.6 JSON, the bill of materials: `make sbom`; `make deb` takes it along.

Versions and hashes come from requirements.lock; licences and who needs whom from the installed metadata.
Knows no network. The same release makes the same bytes: its serial number is derived from what it holds.
"""

import hashlib
import itertools
import json
import re
import sys
import time
import uuid
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from . import epoch
from .lock import LEFT_OUT, RUN, canonical, pins

#: CycloneDX tells licences in SPDX's words from free text; these are the classifiers and texts met, in SPDX's words.
SPDX = {
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "BSD": "BSD-3-Clause",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "MIT License": "MIT",
    **{same: same for same in ("Apache-2.0", "BSD-3-Clause", "GPL-2.0-or-later", "MIT")},
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "webmail-messenger")


def hashes(lock: str) -> dict[str, list[str]]:
    """SHA-256 of each package's files, by canonical name."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in lock.splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)==", line):
            name = canonical(match.group(1))
        found.setdefault(name, []).extend(re.findall(r"sha256:([0-9a-f]{64})", line))
    return found


def licences(installed: Distribution) -> list[dict[str, Any]]:
    """As CycloneDX wants them: an SPDX expression where it is one, else the name the authors gave. [] for none."""
    metadata = installed.metadata
    if expression := metadata.get("License-Expression"):
        return [{"expression": expression}]
    classified = [
        line.rpartition(" :: ")[2]
        for line in metadata.get_all("Classifier", [])
        if line.startswith("License :: ") and not line.endswith("OSI Approved")
    ]
    short = (metadata.get("License") or "").strip()
    # Some put the whole text there.
    names = classified or ([short] if short and "\n" not in short and len(short) < 80 else [])
    return [{"license": {"id": SPDX[name]} if name in SPDX else {"name": name}} for name in names]


def component(installed: Distribution, files: list[str]) -> dict[str, Any]:
    """One library."""
    name, version = installed.metadata["Name"], installed.version
    purl = f"pkg:pypi/{canonical(name)}@{version}"
    found: dict[str, Any] = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    if summary := installed.metadata.get("Summary"):
        found["description"] = summary
    if said := licences(installed):
        found["licenses"] = said
    found["externalReferences"] = [
        {
            "type": "distribution",
            "url": purl,
            "comment": "one hash for each platform's file and the source",
            "hashes": [{"alg": "SHA-256", "content": value} for value in files],
        }
    ]
    return found


def needs(installed: dict[str, Distribution]) -> dict[str, list[str]]:
    """Who asks for whom on this machine, by canonical names; with the extras that one asks of another."""
    wishes = {name: [Requirement(line) for line in found.requires or []] for name, found in installed.items()}
    extras: dict[str, set[str]] = {name: {""} for name in installed}
    for wish in itertools.chain.from_iterable(wishes.values()):
        if not (wish.marker and "extra" in str(wish.marker)):
            extras.setdefault(canonical(wish.name), set()).update(wish.extras)
    return {
        name: sorted(
            {canonical(wish.name) for wish in asked if _holds(wish, extras[name])} - {LEFT_OUT},
        )
        for name, asked in wishes.items()
    }


def _holds(wish: Requirement, extras: set[str]) -> bool:
    return not wish.marker or any(wish.marker.evaluate({"extra": extra}) for extra in extras)


def bill(version: str, lock: str, installed: dict[str, Distribution], seconds: int) -> dict[str, Any]:
    """The whole of it. *installed* by canonical name holds each package of *lock*; KeyError where one is missing.

    *seconds*, Unix time, is the date it carries.
    """
    wanted, files, asked = pins(lock), hashes(lock), needs(installed)
    refs = {name: f"pkg:pypi/{name}@{installed[name].version}" for name in sorted(wanted)}
    ours = f"pkg:pypi/webmail-messenger@{version}"
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, version + hashlib.sha256(lock.encode()).hexdigest())}",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)),
            "component": {
                "type": "application",
                "bom-ref": ours,
                "name": "webmail-messenger",
                "version": version,
                "purl": ours,
                "licenses": [{"license": {"id": "GPL-3.0-or-later"}}],
            },
        },
        "components": [component(installed[name], files[name]) for name in sorted(wanted)],
        "dependencies": [
            {"ref": ours, "dependsOn": [refs[name] for name in asked["webmail-messenger"]]},
            *({"ref": refs[name], "dependsOn": [refs[each] for each in asked[name]]} for name in refs),
        ],
    }


def by_name(folders: list[str]) -> dict[str, Distribution]:
    """What is installed in *folders*, by canonical name."""
    return {canonical(found.metadata["Name"]): found for found in distributions(path=folders)}


def text(version: str, folders: list[str]) -> str:
    """The bill of what is installed in *folders*, as the file holds it."""
    made = bill(version, RUN.read_text(), by_name(folders), epoch.seconds())
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write it into the file named."""
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text(by_name(sys.path)["webmail-messenger"].version, sys.path))
    print(target)


if __name__ == "__main__":
    main()
