"""Where each file of the Debian package lies: a folder with a virtual environment in, a folder for dpkg-deb out.

Knows the tree (units, examples, documents) and the maintainers' scripts in packaging/debian/. Knows neither pip nor
network; scripts/deb.py makes the environment.
"""

import gzip
import hashlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from .completions import completions
from .man_pages import man_pages, programs

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "packaging" / "debian"
NAME = "webmail-messenger"
HOME = f"/opt/{NAME}"
SETTINGS = f"/etc/{NAME}/messenger.toml"
#: A service starts where `messenger setup` has made what it needs, and is passed over elsewhere, at each boot too.
CONDITIONS = {"messenger-gateway.service": (SETTINGS, f"/etc/{NAME}/gateway.toml")}
MESSENGERS = (SETTINGS, f"/etc/{NAME}/keys/link.key")
#: Services lie in sbin, what a person types in bin.
PEOPLE = ("messenger",)
SCRIPTS = ("preinst", "postinst", "prerm", "postrm")


@dataclass(frozen=True)
class Package:
    """What the control file says."""

    version: str
    architecture: str
    depends: str
    maintainer: str
    #: Unix seconds; every file's date.
    epoch: int


def units() -> list[Path]:
    """Services, sockets and timers."""
    return sorted(path for kind in ("*.service", "*.socket", "*.timer") for path in (ROOT / "systemd").glob(kind))


def enabled() -> list[str]:
    """Names of the units that a boot starts; of a template (messenger-pdfotp@) an administrator does that."""
    return [path.name for path in units() if "[Install]" in path.read_text() and "@" not in path.name]


def lay_out(stage: Path, package: Package, bill: str) -> None:
    """Put everything but the environment, which is in *stage* already, where it belongs. *bill* is the SBOM's text."""
    _units(stage)
    _commands(stage)
    _documents(stage, package, bill)
    for place, text in completions().items():
        _write(stage / place, text)
    for name, text in man_pages(package.version, package.epoch).items():
        _write_gz(stage / f"usr/share/man/man{name[-1]}/{name}.gz", text)
    _write(stage / f"usr/share/lintian/overrides/{NAME}", (SOURCE / "lintian-overrides").read_text())
    _control(stage, package)
    _even_out(stage, package.epoch)


def _units(stage: Path) -> None:
    folder = stage / "usr/lib/systemd/system"
    for path in units():
        _write(folder / path.name, path.read_text())
        conditions = CONDITIONS.get(path.name, MESSENGERS)
        lines = "".join(f"ConditionPathExists={condition}\n" for condition in conditions)
        _write(
            folder / f"{path.name}.d" / "set-up.conf",
            f"# Nothing runs before `messenger setup` was here.\n[Unit]\n{lines}",
        )
    _write(stage / f"usr/lib/sysusers.d/{NAME}.conf", (ROOT / f"systemd/{NAME}.sysusers").read_text())
    _write(stage / f"usr/lib/tmpfiles.d/{NAME}.conf", (ROOT / f"systemd/{NAME}.tmpfiles").read_text())


def _commands(stage: Path) -> None:
    for name in programs():
        link = stage / "usr" / ("bin" if name in PEOPLE else "sbin") / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"{HOME}/bin/{name}")


def _documents(stage: Path, package: Package, bill: str) -> None:
    folder = stage / f"usr/share/doc/{NAME}"
    # The links among them lead from docs/ to docs/, so they stay beside each other, and as they are.
    for path in sorted((ROOT / "docs").rglob("*")):
        if path.suffix in (".md", ".png", ".svg"):
            _copy(path, folder / path.relative_to(ROOT / "docs"))
    for path in sorted((ROOT / "config").rglob("*")):
        if path.is_file():
            _copy(path, folder / "examples" / path.relative_to(ROOT / "config"))
    _write(folder / "sbom.cdx.json", bill)
    _write(folder / "copyright", (SOURCE / "copyright").read_text())
    _write_gz(folder / "NEWS.md.gz", (ROOT / "CHANGELOG.md").read_text())
    date = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(package.epoch))
    entry = f"{NAME} ({package.version}) unstable; urgency=medium\n\n  * NEWS.md.gz tells what is new.\n\n"
    _write_gz(folder / "changelog.gz", f"{entry} -- {package.maintainer}  {date}\n")


def _control(stage: Path, package: Package) -> None:
    folder = stage / "DEBIAN"
    files = sorted(path for path in stage.rglob("*") if path.is_file() and not path.is_symlink())
    sums = "".join(f"{_md5(path)}  {path.relative_to(stage)}\n" for path in files)
    # Policy 5.6.20: kibibytes, each file and folder rounded up.
    size = sum(-(-path.lstat().st_size // 1024) for path in files) + sum(
        1 for path in stage.rglob("*") if path.is_dir()
    )
    words = {
        "@VERSION@": package.version,
        "@ARCHITECTURE@": package.architecture,
        "@DEPENDS@": package.depends,
        "@MAINTAINER@": package.maintainer,
        "@SIZE@": str(size),
        "@UNITS@": " ".join(enabled()),
    }
    for name, source in {"control": "control.in", **{script: script for script in SCRIPTS}}.items():
        text = (SOURCE / source).read_text()
        for word, value in words.items():
            text = text.replace(word, value)
        _write(folder / name, text)
        (folder / name).chmod(0o644 if name == "control" else 0o755)
    _write(folder / "md5sums", sums)


def _even_out(stage: Path, epoch: int) -> None:
    """One mode and one date for all: neither umask nor clock of who builds gets into the package."""
    for path in [stage, *stage.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def _md5(path: Path) -> str:
    # dpkg asks for MD5; it finds bit rot, and is no protection.
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _write_gz(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
