"""Build the small C files beside this one, which stand between a process and the C library (ld.so(8), LD_PRELOAD)."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

HERE = Path(__file__).parent


def build(name: str, folder: Path) -> Path:
    """Compile NAME.c into *folder*; return what LD_PRELOAD wants. CalledProcessError where there is no compiler."""
    library = folder / f"{name}.so"
    command = ["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", str(library), str(HERE / f"{name}.c"), "-ldl"]
    subprocess.run(command, check=True)
    return library


class Clock:
    """The wall clock of all processes that are started with ``environment``."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.put(0)
        self.environment = {"LD_PRELOAD": str(build("clock", folder)), "CHAOS_CLOCK": str(self._file)}

    def put(self, seconds: int) -> None:
        """Put it *seconds* before (or, below 0, behind) the true time."""
        # In place: the processes have this very file mapped.
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(struct.pack("=q", seconds))
