"""Whether tests can go on as another user: below a folder of root alone, such as /root, they could read nothing."""

import stat
from pathlib import Path

import pytest

_SOURCE = Path(__file__).resolve().parent.parent
_SHUT = [str(folder) for folder in (_SOURCE, *_SOURCE.parents) if not folder.stat().st_mode & stat.S_IXOTH]

WHY_NOT = f"other users can't enter {_SHUT[0]}; clone to a place that is open to all" if _SHUT else ""
needs_open_source = pytest.mark.skipif(bool(_SHUT), reason=WHY_NOT)
