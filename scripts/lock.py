"""Write requirements.lock and requirements-build.lock: `make lock`. What a release installs, each file with its hash.

Versions come from constraints.txt, names from setup.cfg, hashes from wherever pip is told to look: no address gets into
the files. Needs pip-tools, and a few minutes: the hashes of every platform's files are asked for. Knows nothing of what
is installed.
"""

import configparser
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
RUN = ROOT / "requirements.lock"
BUILD = ROOT / "requirements-build.lock"
#: sqlite-utils asks for it, for installing plugins of its own, which nobody does here.
LEFT_OUT = "pip"
#: What builds pymilter, which comes as source alone, and Messenger itself.
BUILDS_WITH = ("setuptools",)
HEADER = """\
# {what}. Made by `make lock` from setup.cfg and constraints.txt; not for editing.
"""
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def canonical(name: str) -> str:
    """The name as packages are compared by (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> dict[str, str]:
    """Versions by canonical name, of a list of constraints or a lock."""
    return {canonical(name): version for name, version in PIN.findall(text)}


def wanted() -> list[str]:
    """What setup.cfg says that Messenger needs to run."""
    setup_cfg = configparser.ConfigParser()
    setup_cfg.read(ROOT / "setup.cfg")
    return [line for line in setup_cfg["options"]["install_requires"].splitlines() if line.strip()]


def locked(requirements: list[str]) -> str:
    """Pins with hashes for *requirements* and all they need; raises CalledProcessError."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.txt"), Path(folder, "out.txt")
        source.write_text("\n".join(requirements) + "\n")
        command = [sys.executable, "-m", "piptools", "compile", "--quiet", "--generate-hashes", "--no-config"]
        command += ["--strip-extras", "--allow-unsafe", "--no-header", "--no-annotate", "--constraint"]
        command += [str(ROOT / "constraints.txt"), "--output-file", str(target), str(source)]
        # The files must be the same for everybody: nothing of how this machine reaches an index.
        command += ["--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host"]
        subprocess.run(command, check=True)
        blocks = re.split(r"^(?=[A-Za-z#])", target.read_text(), flags=re.MULTILINE)
        kept = "".join(block for block in blocks if not block.startswith((f"{LEFT_OUT}==", "#", "\n")))
        return f"{kept.rstrip()}\n"


def main() -> None:
    """Write both files."""
    RUN.write_text(HEADER.format(what="What Messenger runs with") + locked(wanted()))
    BUILD.write_text(HEADER.format(what="What builds the sources among the rest") + locked(list(BUILDS_WITH)))
    for path in (RUN, BUILD):
        print(f"{path.name}: {len(pins(path.read_text()))} packages")


if __name__ == "__main__":
    main()
