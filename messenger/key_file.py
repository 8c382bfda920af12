"""Read a secret of the site: 32 bytes in hexadecimal, on one line, as `messenger setup` writes them.

Knows no secret by name: who reads one says what it is called and which error to raise.
"""

import re
from pathlib import Path

from .errors import MessengerError

BYTES = 32
MEND = "restore it from a backup, or move it away and let `messenger setup` make a new one"


def read(path: Path, name: str, error: type[MessengerError], mend: str = MEND) -> bytes:
    """Return the key called *name* in *path*, or raise *error* with what was expected and what to do."""
    try:
        text = path.read_text("ascii").strip()
    except FileNotFoundError as cause:
        raise error(f"{path}: no {name} there; `messenger setup` makes one") from cause
    except OSError as cause:
        raise error(f"{path}: can't read the {name}: {cause.strerror}; its group must be able to") from cause
    except UnicodeDecodeError as cause:
        raise error(f"{path}: expected {BYTES * 2} hexadecimal digits, found other bytes; {mend}") from cause
    if not re.fullmatch(rf"[0-9A-Fa-f]{{{BYTES * 2}}}", text):
        # Nothing of what was found: it may be a secret of another kind.
        raise error(f"{path}: expected {BYTES * 2} hexadecimal digits on one line, found something else; {mend}")
    return bytes.fromhex(text)
