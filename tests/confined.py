"""Start a program about as systemd starts one of our units, on a machine without systemd: python confined.py UNIT.

Mounts, credentials, user and groups, capabilities, system calls, and executable memory, as the unit says; not
IPAddressDeny, nor what concerns /proc and devices. Needs root, and a mount namespace of its own (unshare -m) that it
may spoil.
"""

import ctypes
import errno
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ALLOW = 0x7FFF0000
ERRNO = 0x00050000
MASKED_EQ, NOT_EQ = 7, 1
WRITE, EXEC = 2, 4
SPECIAL_BITS = stat.S_ISUID | stat.S_ISGID
#: system call: which argument is a mode
MODES = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "mkdir": 1, "mkdirat": 2, "mknod": 1, "mknodat": 2, "creat": 1}
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}


class Compare(ctypes.Structure):
    """scmp_arg_cmp"""

    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def main() -> None:
    """Shut this process in as the unit says, then become its program (or what is named after the unit)."""
    unit = directives(Path(sys.argv[1]))
    mounts(unit)
    credentials(unit)
    os.umask(int(unit["UMask"][-1], 8))
    program = sys.argv[2:] or shlex.split(unit["ExecStart"][0])
    (user,), (group,) = unit["User"], unit["Group"]
    groups = ",".join(words(unit["SupplementaryGroups"]))
    inner = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import confined; confined.inside()"
    rights = ["setpriv", f"--reuid={user}", f"--regid={group}", f"--groups={groups}", "--bounding-set=-all"]
    rights += ["--inh-caps=-all", "--no-new-privs", sys.executable, "-c", inner, sys.argv[1], *program]
    os.execvp(rights[0], rights)


def inside() -> None:
    """The last step, as the user: give up system calls and run the program."""
    filter_calls(directives(Path(sys.argv[1])))
    os.execvp(sys.argv[2], sys.argv[2:])


def directives(path: Path) -> dict[str, list[str]]:
    """The lines of the section Service by name."""
    found: dict[str, list[str]] = defaultdict(list)
    section = ""
    for line in path.read_text().splitlines():
        section = line if line.startswith("[") else section
        if section == "[Service]" and "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found[name].append(value)
    return found


def words(lines: list[str]) -> list[str]:
    """All words of a directive that may be given several times."""
    return [word for line in lines for word in line.split()]


def mounts(unit: dict[str, list[str]]) -> None:
    """Everything read-only but a few places, and some out of sight."""
    writable = [Path(word.lstrip("-")) for word in words(unit["ReadWritePaths"])]
    for path in filter(Path.exists, writable):
        run("mount", "--bind", str(path), str(path))
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        place = line.split()[4]
        kept = Path(place) in writable or re.match(r"/(dev|proc|sys)(/|$)", place)
        if not kept:
            run("mount", "-o", "remount,bind,ro", place)
    run("mount", "-t", "tmpfs", "tmp", "/tmp")
    Path("/tmp").chmod(0o1777)
    nothing = Path("/tmp/nothing")
    nothing.mkdir(0)
    (file := Path("/tmp/nothing.file")).touch(0)
    for path in filter(Path.exists, (Path(word.lstrip("-")) for word in words(unit["InaccessiblePaths"]))):
        run("mount", "--bind", str(nothing if path.is_dir() else file), str(path))


def credentials(unit: dict[str, list[str]]) -> None:
    """LoadCredential and SetCredential: files that the user alone may read, in a folder that is told it."""
    folder = Path("/tmp/credentials")
    folder.mkdir(0o700)
    run("mount", "-t", "tmpfs", "-o", "mode=700", "credentials", str(folder))
    handed = {name: value.encode() for name, _, value in (line.partition(":") for line in unit["SetCredential"])}
    for name, _, place in (line.partition(":") for line in unit["LoadCredential"]):
        if Path(place).exists() or name not in handed:
            handed[name] = Path(place).read_bytes()
    for name, content in handed.items():
        (file := folder / name).write_bytes(content)
        file.chmod(0o400)
        shutil.chown(file, unit["User"][0])
    folder.chmod(0o500)
    shutil.chown(folder, unit["User"][0])
    os.environ["CREDENTIALS_DIRECTORY"] = str(folder)


def filter_calls(unit: dict[str, list[str]]) -> None:
    """SystemCallFilter, RestrictAddressFamilies, RestrictSUIDSGID and MemoryDenyWriteExecute."""
    seccomp = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    seccomp.seccomp_init.restype = context_type = ctypes.c_void_p
    context = context_type(seccomp.seccomp_init(ERRNO | errno.EPERM))
    allowed: set[str] = set()
    for line in unit["SystemCallFilter"]:
        for word in line.lstrip("~").split():
            allowed = allowed - calls(word) if line.startswith("~") else allowed | calls(word)

    def rule(action: int, name: str, *compare: Compare) -> None:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:
            array = (Compare * len(compare))(*compare)
            status = seccomp.seccomp_rule_add_array(context, ctypes.c_uint32(action), number, len(compare), array)
            assert status == 0, (name, status)

    def allow_but(name: str, arg: int, bits: int) -> None:
        """Allow *name* unless one of *bits* is set in the argument."""
        rule(ALLOW, name, Compare(arg, MASKED_EQ, bits, 0))

    special = {
        *MODES,
        "socket",
        "socketpair",
        "mprotect",
        "pkey_mprotect",
        "mmap",
        "open",
        "openat",
        "unshare",
        "setns",
    }
    for name in sorted(allowed - special):
        rule(ALLOW, name)
    for name, arg in MODES.items():
        allow_but(name, arg, SPECIAL_BITS)
    for name, arg in (("open", 1), ("openat", 2)):
        rule(ALLOW, name, Compare(arg, MASKED_EQ, os.O_CREAT, 0))
        rule(ALLOW, name, Compare(arg, MASKED_EQ, os.O_CREAT, os.O_CREAT), Compare(arg + 1, MASKED_EQ, SPECIAL_BITS, 0))
    for family in words(unit["RestrictAddressFamilies"]):
        rule(ALLOW, "socket", Compare(0, MASKED_EQ, 0xFFFFFFFF, FAMILIES[family]))
    rule(ALLOW, "socketpair")
    for name in ("mprotect", "pkey_mprotect"):
        allow_but(name, 2, EXEC)
    for bits in (0, WRITE, EXEC):
        rule(ALLOW, "mmap", Compare(2, MASKED_EQ, WRITE | EXEC, bits))
    assert seccomp.seccomp_load(context) == 0


def calls(name: str, seen: frozenset[str] = frozenset()) -> set[str]:
    """The system calls of a group of systemd's."""
    if not name.startswith("@"):
        return {name}
    said = subprocess.run(["systemd-analyze", "syscall-filter", name], check=True, capture_output=True, text=True)
    inner = [line.split()[0] for line in said.stdout.splitlines()[1:] if line.strip() and "#" not in line]
    return {call for word in inner if word not in seen for call in calls(word, seen | {name})}


def run(*command: str) -> None:
    """Run *command*; what it says on failure is the error."""
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
