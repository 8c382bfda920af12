"""Who is shut in does nothing to other processes of its user, by whatever system call."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ATTEMPTS = """
import ctypes, fcntl, os, signal, sys
from pathlib import Path
from messenger_pdfotp.confinement import Shelter
libc, room = ctypes.CDLL(None, use_errno=True), ctypes.create_string_buffer(256)
other, file = int(sys.argv[1]), sys.argv[2].encode()
memory = os.memfd_create("m")
assert Shelter([Path("/usr"), Path(sys.base_prefix), Path(sys.prefix)]).shut_in() == []
def attempt(name, *words):
    words = [ctypes.c_long(one) if isinstance(one, int) else one for one in words]
    if libc.syscall(*words) >= 0:
        print(name)
attempt("tgkill", 234, other, other, 0)
attempt("pidfd_open", 434, other, 0)
attempt("limit another", 302, other, 0, 0, room)
attempt("chmod", 90, file, 0o777)
attempt("chmod at", 268, -100, file, 0o777)
attempt("chmod at 2", 452, -100, file, 0o777, 0)
attempt("touch", 280, -100, file, 0, 0)
attempt("setxattr", 188, file, b"user.x", b"1", 1, 0)
attempt("unshare", 272, 0x10000000)
attempt("clone3", 435, room, 64)
attempt("fork", 56, int(signal.SIGCHLD), 0, 0, 0, 0)
attempt("io_uring", 425, 8, room)
attempt("run memory", 322, memory, b"", 0, 0, 0x1000)
attempt("memfd", 319, b"x", 0)
attempt("ptrace", 101, 16, other, 0, 0)
attempt("shared memory", 29, 0, 4096, 0o1600)
attempt("key", 248, b"user", b"a", b"b", 1, -3)
attempt("inotify", 294, 0)
attempt("socket", 41, 1, 1, 0)
for name in (b"/proc/self/environ", b"/proc/self/mem", b"/proc/%d/environ" % other):
    attempt(name.decode(), 2, name, 0)
print("own limits") if libc.syscall(302, 0, 7, 0, room) == 0 else None
try:
    back, to = os.pipe()
    fcntl.fcntl(back, 10, int(signal.SIGKILL))  # F_SETSIG
    fcntl.fcntl(back, fcntl.F_SETOWN, other)
    fcntl.fcntl(back, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    os.write(to, b"x")
except OSError:
    pass
"""


def _scopes_signals() -> bool:
    return tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2]) >= (6, 12)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are those of x86_64")
def test_who_is_shut_in_harms_no_process_and_changes_no_file_of_its_user(tmp_path):
    (tmp_path / "spool").touch(0o600)
    other = subprocess.Popen(["sleep", "60"])
    try:
        done = subprocess.run(
            [sys.executable, "-c", ATTEMPTS, str(other.pid), str(tmp_path / "spool")],
            capture_output=True,
            text=True,
            env={"PYTHONPATH": f"{ROOT}:{ROOT / 'pdfotp'}"},
            check=False,
        )
        lives = other.poll() is None
    finally:
        other.kill()
        other.wait()

    assert done.stdout.split("\n") == ["own limits", ""], done.stderr
    assert lives or not _scopes_signals()
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o600
