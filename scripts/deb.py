"""Build the Debian package: `make deb`. Debian's own Python, every library of requirements.lock, one file in dist/.

Wheels are made once per lock and kept in build/deb/; the rest takes a minute. The same commit on the same Debian
makes the same bytes (SOURCE_DATE_EPOCH is the commit's date unless it is set). Where files lie: scripts/deb_layout.py.
"""

import argparse
import configparser
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from . import epoch, sbom
from .deb_layout import HOME, NAME, Package, lay_out
from .lock import BUILD, RUN, pins

ROOT = Path(__file__).parent.parent
WORK = ROOT / "build" / "deb"
PYTHON = Path("/usr/bin/python3")
#: Debian's own names for who publishes a package. Without them lintian finds fault with the address, rightly.
MAINTAINER = "{DEBFULLNAME} <{DEBEMAIL}>"
NOBODY = {"DEBFULLNAME": "Webmail Messenger", "DEBEMAIL": "root@localhost"}
#: dlopen()ed by WeasyPrint, or called by name: what no shared object tells.
NAMED = (
    "libharfbuzz-subset0",
    "libpango-1.0-0",
    "libpangoft2-1.0-0",
    "postfix",
    "systemd (>= 250)",
)
#: What an environment holds for people who work in it.
FOR_SHELLS = ("activate", "activate.csh", "activate.fish", "Activate.ps1")


def run(*words: str | Path) -> str:
    """What a command says; its own words and an end where it fails."""
    # -g0 and a name for the folder: a random one would be in pymilter's object file.
    fixed = {"SOURCE_DATE_EPOCH": str(epoch.seconds()), "PYTHONHASHSEED": "0", "CFLAGS": "-O2 -g0", "LC_ALL": "C.UTF-8"}
    # Nothing that lies about in this tree counts as installed.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in words], env=kept | fixed, cwd="/", capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"deb: {' '.join(map(str, words))}\n{done.stderr[-4000:]}")
    return done.stdout


def wheels(folder: Path) -> Path:
    """The libraries as wheels, checked against their hashes; made anew when a lock or Python has changed."""
    want = hashlib.sha256(RUN.read_bytes() + BUILD.read_bytes() + run(PYTHON, "-VV").encode()).hexdigest()
    stamp = folder / "wheels" / "made-for"
    if not stamp.exists() or stamp.read_text() != want:
        shutil.rmtree(folder, ignore_errors=True)
        run(PYTHON, "-m", "venv", folder / "tool")
        pip = [folder / "tool" / "bin" / "python", "-m", "pip"]
        run(*pip, "install", "-q", "--require-hashes", "-r", BUILD)
        build = ("--require-hashes", "--no-deps", "--no-build-isolation", "--use-pep517")
        run(*pip, "wheel", "-q", *build, "-r", RUN, "-w", folder / "wheels")
        stamp.write_text(want)
    return folder / "wheels"


def own_wheel(folder: Path) -> Path:
    """Messenger's wheel, of the last commit: nothing unfinished and nothing of an earlier build gets in."""
    tree = folder / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir()
    run("git", "-C", ROOT, "archive", "--output", folder / "tree.tar", "HEAD")
    run("tar", "-xf", folder / "tree.tar", "-C", tree)
    target = folder / "own"
    shutil.rmtree(target, ignore_errors=True)
    pip = [folder / "tool" / "bin" / "python", "-m", "pip"]
    run(*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", target, tree)
    shutil.rmtree(tree)
    return target


def environment(stage: Path, libraries: Path, own: Path, seconds: int) -> Path:
    """Make the virtual environment in *stage* as if it lay in /opt; return its site-packages."""
    home = stage / HOME.lstrip("/")
    run(PYTHON, "-m", "venv", "--without-pip", home)
    names = [f"{name}=={version}" for name, version in pins(RUN.read_text()).items()]
    pip = [libraries.parent / "tool" / "bin" / "python", "-m", "pip", "--python", home / "bin" / "python"]
    run(*pip, "install", "-q", "--no-index", "--no-deps", "--no-compile", "-f", libraries, "-f", own, NAME, *names)
    for path in sorted((home / "bin").iterdir()):
        if path.name in FOR_SHELLS or not path.name.startswith(("messenger", "python")):
            path.unlink()  # nobody is to find weasyprint or gunicorn in here
        elif not path.is_symlink():
            path.write_text(path.read_text().replace(str(home), HOME))
    settings = home / "pyvenv.cfg"
    settings.write_text("".join(line for line in settings.open() if not line.startswith("command")))
    (site,) = (home / "lib").glob("python3*/site-packages")
    for path in site.rglob("*"):
        os.utime(path, (seconds, seconds), follow_symlinks=False)  # the bytecode notes it
    compile_all = [home / "bin" / "python", "-m", "compileall", "-q", "--invalidation-mode", "timestamp"]
    run(*compile_all, "-s", stage, "-p", "/", site)
    return site


def depends(site: Path) -> str:
    """Debian's packages that the environment needs: this Python, and what its shared objects are linked with."""
    major, minor = (int(x) for x in run(PYTHON, "-c", "import sys; print(*sys.version_info[:2])").split())
    libc = run("dpkg-query", "-W", "-f", "${Version}", "libc6").split("-")[0]
    found = {f"python3 (>= {major}.{minor})", f"python3 (<< {major}.{minor + 1})", f"libc6 (>= {libc})", *NAMED}
    paths = set()
    for path in site.rglob("*.so*"):
        paths |= set(re.findall(r"=> (/(?:usr/)?lib/\S+)", run("ldd", path)))
    for path in paths:
        # Before /lib became a link to /usr/lib dpkg knew the files by the shorter name.
        short = re.sub("^/usr", "", path)
        said = subprocess.run(["dpkg-query", "-S", short, f"/usr{short}"], capture_output=True, text=True, check=False)
        found |= {line.split(":")[0] for line in said.stdout.splitlines()} - {"libc6"}
    return ", ".join(sorted(found))


def main() -> None:
    """Build it, and say where it is."""
    words = argparse.ArgumentParser(prog="make deb ARGS=", description=__doc__)
    words.add_argument("--version", help="another version of the package than setup.cfg's, such as 0.1.0+site1")
    words.add_argument("--out", type=Path, default=ROOT / "dist", help="folder for the package")
    given = words.parse_args()
    out = given.out.resolve()
    if not PYTHON.exists() or not shutil.which("dpkg-deb"):
        sys.exit("deb: expected Debian with python3 and python3-venv, as `apt-get install python3-venv dpkg` makes it")
    if run("git", "-C", ROOT, "status", "--porcelain", "--untracked-files=no"):
        # Made for a trial it does; a release must be of one commit.
        print("deb: with changes that aren't committed: programs are those of the last commit", file=sys.stderr)
    setup_cfg = configparser.ConfigParser()
    setup_cfg.read(ROOT / "setup.cfg")
    seconds, stage = epoch.seconds(), WORK / "stage"
    shutil.rmtree(stage, ignore_errors=True)
    site = environment(stage, wheels(WORK / "libraries"), own_wheel(WORK / "libraries"), seconds)
    version = given.version or setup_cfg["metadata"]["version"]
    architecture = run("dpkg", "--print-architecture").strip()
    package = Package(version, architecture, depends(site), MAINTAINER.format(**NOBODY | dict(os.environ)), seconds)
    lay_out(stage, package, sbom.text(setup_cfg["metadata"]["version"], [str(site)]))
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{NAME}_{version}_{architecture}.deb"
    run("dpkg-deb", "--root-owner-group", "-Zgzip", "-z6", "--build", stage, target)
    print(f"{target}  {target.stat().st_size / 1e6:.0f} MB  sha256 {hashlib.sha256(target.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
