"""The date a release carries, so that building it again makes the same bytes (SOURCE_DATE_EPOCH)."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent


def seconds() -> int:
    """Unix seconds: SOURCE_DATE_EPOCH, else the last commit's, else (in a tree without git) the changelog's."""
    if said := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(said)
    found = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False)
    return int(found.stdout.strip() or (ROOT / "CHANGELOG.md").stat().st_mtime)
