"""Find the key files of the site, and read its secrets: 32 bytes in hexadecimal, as `messenger setup` writes them.

systemd hands keys over as credentials (LoadCredential= in the units), each under the name of its file. Knows no secret
by name: who reads one says what it is called and which error to raise.
"""

import os
import re
from pathlib import Path

from .errors import MessengerError

BYTES = 32
#: For whom a key is shut. messenger/cli/unit_files.py knows which unit is handed which key.
REACH = "root reads it, and systemd hands it to the services: `messenger setup` tells it which (docs/operations.md)"
MEND = "restore it from a backup, or move it away and let `messenger setup` make a new one"


#: Where systemd puts what a unit is handed (systemd.exec(5)).
VARIABLE = "CREDENTIALS_DIRECTORY"
#: The units hand over one octet in place of a key that isn't there, so that a service can say itself what is missing.
ABSENT_OCTETS = 1


def found(path: Path, name: str = "") -> Path:
    """Return where the key of *path* is to be read: what systemd handed over as *name*, else *path* itself.

    *name*: that of the file, where nothing else is said.
    """
    if folder := os.environ.get(VARIABLE, ""):
        handed = Path(folder) / (name or path.name)
        try:
            if handed.stat().st_size > ABSENT_OCTETS:
                return handed
        except OSError:
            pass  # not handed over: by hand, in a container, or under another unit
    return path


def read(path: Path, name: str, error: type[MessengerError], mend: str = MEND) -> bytes:
    """Return the key called *name* in *path*, or raise *error* with what was expected and what to do."""
    try:
        text = found(path).read_text("ascii").strip()
    except FileNotFoundError as cause:
        raise error(f"{path}: no {name} there; `messenger setup` makes one") from cause
    except OSError as cause:
        raise error(f"{path}: can't read the {name}: {cause.strerror}; {REACH}") from cause
    except UnicodeDecodeError as cause:
        raise error(f"{path}: expected {BYTES * 2} hexadecimal digits, found other bytes; {mend}") from cause
    if not re.fullmatch(rf"[0-9A-Fa-f]{{{BYTES * 2}}}", text):
        # Nothing of what was found: it may be a secret of another kind.
        raise error(f"{path}: expected {BYTES * 2} hexadecimal digits on one line, found something else; {mend}")
    return bytes.fromhex(text)
