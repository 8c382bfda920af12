"""Shut this process in for good: it reads programs and fonts, writes nothing, reaches nobody, starts nothing.

For the child that lays out hostile mail. By Landlock (landlock(7)) for files and a seccomp filter (seccomp(2)) for
system calls, both through ctypes: the standard library knows neither. What the kernel can't do is said, not hidden.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterable
from pathlib import Path

# linux/landlock.h, linux/seccomp.h, linux/prctl.h; the numbers of Landlock's calls are the same on all machines.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_RULE_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
#: All rights over files that a kernel of each version knows.
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
#: From version 6 on: no abstract socket and no signal to whoever is outside, a file's SIGIO (F_SETOWN) included.
_SCOPES, _SCOPES_SINCE = 1 << 0 | 1 << 1, 6
_PR_SET_NO_NEW_PRIVS, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _FILTER_MODE = 38, 4, 22, 2
_RETURN_ALLOW, _RETURN_ERRNO, _RETURN_KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _JUMP_IF_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_AT_NUMBER, _AT_ARCHITECTURE, _AT_FIRST_ARGUMENT = 0, 4, 16

#: Numbers by machine: asm/unistd_64.h, asm-generic/unistd.h. The audit architecture comes first.
_REFUSED = {
    "x86_64": (
        0xC000003E,
        {
            "socket": 41, "connect": 42, "accept": 43, "sendto": 44, "bind": 49, "listen": 50, "socketpair": 53,
            "fork": 57, "vfork": 58, "execve": 59, "kill": 62, "ptrace": 101, "tkill": 200, "process_vm_readv": 310,
            "process_vm_writev": 311, "execveat": 322, "io_uring_setup": 425, "pidfd_getfd": 438,
            # Neither signals nor limits for others, nor rights and times of files, which Landlock doesn't keep.
            "tgkill": 234, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297, "pidfd_open": 434,
            "pidfd_send_signal": 424, "setpriority": 141, "sched_setaffinity": 203, "chmod": 90, "fchmodat": 268,
            "fchmodat2": 452, "chown": 92, "lchown": 94, "fchownat": 260, "setxattr": 188, "lsetxattr": 189,
            "setxattrat": 463, "removexattr": 197, "lremovexattr": 198, "utime": 132, "utimes": 235,
            "futimesat": 261, "utimensat": 280,
            # No memory that RLIMIT_AS doesn't count, nothing shared with others, and no more of the kernel than needed.
            "memfd_create": 319, "memfd_secret": 447, "shmget": 29, "semget": 64, "msgget": 68, "mq_open": 240,
            "add_key": 248, "request_key": 249, "keyctl": 250, "inotify_init": 253, "inotify_init1": 294,
            "fanotify_init": 300, "unshare": 272, "setns": 308, "mount": 165, "fsopen": 430, "open_tree": 428,
            "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "kcmp": 312,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "socket": 198, "connect": 203, "accept": 202, "sendto": 206, "bind": 200, "listen": 201, "socketpair": 199,
            "execve": 221, "kill": 129, "ptrace": 117, "tkill": 130, "process_vm_readv": 270,
            "process_vm_writev": 271, "execveat": 281, "io_uring_setup": 425, "pidfd_getfd": 438,
            "tgkill": 131, "rt_sigqueueinfo": 138, "rt_tgsigqueueinfo": 240, "pidfd_open": 434,
            "pidfd_send_signal": 424, "setpriority": 140, "sched_setaffinity": 122, "fchmodat": 53,
            "fchmodat2": 452, "fchownat": 54, "setxattr": 5, "lsetxattr": 6,
            "setxattrat": 463, "removexattr": 14, "lremovexattr": 15, "utimensat": 88,
            "memfd_create": 279, "memfd_secret": 447, "shmget": 194, "semget": 190, "msgget": 186, "mq_open": 180,
            "add_key": 217, "request_key": 218, "keyctl": 219, "inotify_init1": 26,
            "fanotify_init": 262, "unshare": 97, "setns": 268, "mount": 40, "fsopen": 430, "open_tree": 428,
            "bpf": 280, "perf_event_open": 241, "userfaultfd": 282, "kcmp": 272,
        },
    ),
}  # fmt: skip
#: Threads may be made (Pango has one), processes not. clone3 keeps its flags where no filter sees them: it is said
#: not to be there, and the C library takes clone.
_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE3, _CLONE_THREAD = 435, 0x00010000
#: Its own limits the C library asks for itself (0); those of others are not to be touched.
_PRLIMIT = {"x86_64": 302, "aarch64": 261}
#: Calls of x86_64's other table (x32) would go around the list.
_X32_BIT = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


class Shelter:
    """The walls, put up once so that many processes can be shut in, one after another.

    What lies below *readable* can be read from inside, and nothing else.
    """

    def __init__(self, readable: Iterable[Path]) -> None:
        self._missing: list[str] = []
        self._ruleset: int | None = None
        self._program: bytes | None = None
        try:
            self._ruleset = _ruleset(readable)
        except OSError as error:
            self._files_open(error)
        try:
            self._program = _program()
        except OSError as error:
            self._network_open(error)

    def shut_in(self) -> list[str]:
        """Confine this process from now on. Returns what could not be done, in words; not to be undone."""
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        _prctl(_PR_SET_DUMPABLE, 0)
        try:
            if self._ruleset is not None:
                _call(_RESTRICT_SELF, self._ruleset, 0)
        except OSError as error:
            self._files_open(error)
        try:
            if self._program is not None:
                _refuse_calls(self._program)
        except OSError as error:
            self._network_open(error)
        return self._missing

    def _files_open(self, error: OSError) -> None:
        self._missing.append(f"files are not kept from it: Landlock: {error.strerror}")

    def _network_open(self, error: OSError) -> None:
        self._missing.append(f"the network is not kept from it: seccomp: {error.strerror}")


def _ruleset(readable: Iterable[Path]) -> int:
    version = _call(_CREATE_RULESET, None, 0, _VERSION_FLAG)
    attributes = struct.pack("=Q", _FILE_RIGHTS[min(version, max(_FILE_RIGHTS))])
    if version >= _SCOPES_SINCE:
        attributes += struct.pack("=QQ", 0, _SCOPES)
    # Closed when a program is started, and by who is shut in.
    ruleset = _call(_CREATE_RULESET, attributes, len(attributes), 0)
    for path in readable:
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        rights = _READ_FILE | (_READ_DIR if path.is_dir() else 0)
        try:
            _call(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, struct.pack("=Qi", rights, descriptor), 0)
        finally:
            os.close(descriptor)
    return ruleset


def _program() -> bytes:
    try:
        architecture, numbers = _REFUSED[platform.machine()]
        clone, prlimit = _CLONE[platform.machine()], _PRLIMIT[platform.machine()]
    except KeyError as error:
        raise OSError(errno.ENOSYS, f"no list of calls for {platform.machine()}") from error
    program = [
        _step(_LOAD, _AT_ARCHITECTURE),
        _step(_JUMP_IF_EQUAL, architecture, skip_true=1),
        _step(_RETURN, _RETURN_KILL),
        _step(_LOAD, _AT_NUMBER),
        _step(_JUMP_IF_AT_LEAST, _X32_BIT, skip_false=1),
        _step(_RETURN, _RETURN_ERRNO | errno.EPERM),
    ]
    for number in numbers.values():
        program += [
            _step(_JUMP_IF_EQUAL, number, skip_false=1),
            _step(_RETURN, _RETURN_ERRNO | errno.EPERM),
        ]
    program += [
        _step(_JUMP_IF_EQUAL, prlimit, skip_false=4),
        _step(_LOAD, _AT_FIRST_ARGUMENT),
        _step(_JUMP_IF_EQUAL, 0, skip_true=1),
        _step(_RETURN, _RETURN_ERRNO | errno.EPERM),
        _step(_RETURN, _RETURN_ALLOW),
        _step(_JUMP_IF_EQUAL, _CLONE3, skip_false=1),
        _step(_RETURN, _RETURN_ERRNO | errno.ENOSYS),
        _step(_JUMP_IF_EQUAL, clone, skip_false=3),
        _step(_LOAD, _AT_FIRST_ARGUMENT),
        _step(_JUMP_IF_SET, _CLONE_THREAD, skip_true=1),
        _step(_RETURN, _RETURN_ERRNO | errno.EPERM),
        _step(_RETURN, _RETURN_ALLOW),
    ]
    return b"".join(program)


def _refuse_calls(program: bytes) -> None:
    filters = ctypes.create_string_buffer(program)
    header = struct.pack("@HP", len(program) // len(_step(_RETURN, 0)), ctypes.addressof(filters))
    _prctl(_PR_SET_SECCOMP, _FILTER_MODE, ctypes.c_char_p(header))


def _step(code: int, value: int, skip_true: int = 0, skip_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, skip_true, skip_false, value)


def _call(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(ctypes.c_long(number), *(_long(one) for one in arguments)))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def _long(argument: object) -> object:
    return ctypes.c_long(argument) if isinstance(argument, int) else argument


def _prctl(option: int, *arguments: object) -> None:
    given = [_long(one) for one in arguments]
    padding = [ctypes.c_long(0)] * (4 - len(given))
    if _libc.prctl(option, *given, *padding) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
