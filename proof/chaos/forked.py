"""Start our services from a process that has imported them already, so that each start takes a moment only.

Takes a settings file, or "", and the names of modules. Reads lines of JSON, with "module", "words" and "log", and
writes one for each: the id of the process, which runs that module's main() with those words. Each is a copy made before
anything was done: no thread, no file, no key; but for the forms of letters, which take half of a start. Ends at the end
of its input.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from pathlib import Path

from messenger import config as settings
from messenger import notify
from messenger_milter import checks


def main() -> None:
    modules = {name: importlib.import_module(name) for name in sys.argv[2:]}
    if sys.argv[1]:
        notify.check_templates(checks.site_of(settings.load(Path(sys.argv[1]))))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries them
    for line in sys.stdin:
        asked = json.loads(line)
        if not (child := os.fork()):
            _become(modules[asked["module"]], asked["words"], asked["log"])
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


def _become(module: object, words: list[str], log: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, place in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(descriptor, place)
    sys.argv = [getattr(module, "__name__", ""), *words]
    status = 1
    try:
        module.main()  # type: ignore[attr-defined]
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    finally:
        os._exit(status)


if __name__ == "__main__":
    main()
