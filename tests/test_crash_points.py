"""Killed before each call that writes, then started again: one copy, one notice or two, and nothing half done."""

from __future__ import annotations

import hashlib
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from miltertest import MilterError

from messenger import pdf_record
from messenger.mailbox import mailbox_of
from messenger.pdf_password import id_of
from messenger.pdf_spool import Spool
from messenger.tunnel import TunnelKeys, unwrap
from messenger.tunnel.keys import load_certificate, load_recipient_key
from messenger_milter.ledger import Ledger
from proof.chaos.crash import Crashes, wait, without_names

from .crash_fixtures import home_fixture, in_memory, started  # noqa: F401
from .milter_fixtures import ORIGINAL, Mta, Site

#: Seen by strace as these; the C library calls some of them otherwise.
KERNEL = {"openat64": "openat", "open64": "openat", "open": "openat"}
WRITING = (
    "write,pwrite64,writev,pwritev,sendto,sendmsg,fsync,fdatasync,syncfs,link,linkat,symlink,symlinkat,rename,renameat,"
    "renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,chmod,fchmod,fchmodat,chown,fchown,fchownat,utimensat,utime,utimes,"
    "truncate,ftruncate,fallocate,memfd_create,sendfile,copy_file_range,splice,openat,open,creat,msync,mknod,mknodat"
)
#: A mail that takes more calls than this hangs in a loop.
MOST = 300


@pytest.fixture(scope="module")
def crashes():
    with in_memory() as path, started("messenger_milter.service", settings=site_in(path).settings) as made:
        yield made


def site_in(path):
    (path / "site").mkdir()
    return Site(path / "site")


class Intake:
    """The real messenger-milter, started anew whenever it has died."""

    def __init__(self, crashes: Crashes, site: Site) -> None:
        self.crashes, self.site = crashes, site
        self.ledger = Ledger(site.home / "ledger")
        self.ledger.prepare()
        self.pid = 0

    def start(self) -> None:
        before = self._starts()
        self.pid = self.crashes.start("messenger_milter.service", "--config", str(self.site.settings))
        # By then all is done that a start does beside answering Postfix.
        wait(lambda: self._starts() > before, "the milter")

    def _starts(self) -> int:
        return self.crashes.log.read_text().count("days removed") if self.crashes.log.exists() else 0

    def offer(self, raw: bytes, at: int = 0, **counted: str) -> str:
        """Send one mail, and have the milter die before its *at*-th call; return the answer's word, or "crash"."""
        self.crashes.arm(self.pid, at, **counted)
        try:
            with Mta(self.site.socket) as mta:
                answer = mta.send(raw).action
        except (MilterError, OSError):
            answer = "crash"
        if at and len(self.crashes.calls()) >= at:
            self.crashes.ended(self.pid)
            return "crash"
        return answer

    def at_every_call(self, mail) -> dict[str, bytes]:
        """Die at call 1, 2, ... of mails that *mail* makes, each in a process of its own; then offer all of them again.

        What libmilter says to Postfix and to itself is counted apart: how much that is depends on who is quicker. The
        ledger's folders, put on disk by a thread beside each second, are not. Returns the mails by number and call.
        """
        crashed: dict[str, bytes] = {}
        moving = "writev socket|write pipe"
        for counted in ({"spared": f"{moving}|fsync {self.ledger.root}/"}, {"only": moving}):
            for at in range(1, MOST):
                self.start()
                raw = mail(len(crashed) + 1)
                answer = self.offer(raw, at, **counted)
                if answer != "crash":
                    assert answer == "discard", self.crashes.log.read_text()[-2000:]
                    self.crashes.stop(self.pid)
                    break
                crashed[f"{len(crashed) + 1}: {self.crashes.calls()[at - 1]}"] = raw
            else:
                raise AssertionError(f"more than {MOST} calls for one mail")
        self.start()
        for call, raw in crashed.items():
            assert self.offer(raw) == "discard", f"after a crash before {call}"
        self.crashes.stop(self.pid)
        return crashed


@pytest.fixture
def site(home):
    return site_in(home)


@pytest.fixture
def intake(crashes, site):
    return Intake(crashes, site)


def digest_of(site, raw):
    keys = site.home / "keys"
    opened = TunnelKeys(
        (load_recipient_key(keys / "recipient.pem", keys / "recipient.key"),), (load_certificate(keys / "sender.pem"),)
    )
    return unwrap(raw, opened).digest


def original(number):
    return ORIGINAL + f"Number {number}\r\n".encode()


def told(site) -> Counter[str]:
    """How many mails left, by their Message-IDs."""
    found = (re.search(rb"^Message-ID: *(?:\n )?<(.*)>", raw, re.MULTILINE | re.IGNORECASE) for raw in site.notices())
    return Counter(match[1].decode() for match in found if match)


def notice_id(digest, address):
    return _code(digest, address)


def _code(*parts):
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:32] + "@portal.example"


def quiet(site):
    """Wait until each sendmail that a dead milter has left is done, too."""
    seen = -1
    while seen != (seen := len(site.notices())):
        time.sleep(0.3)


def leftovers(site):
    return [path for path in site.home.rglob("*") if re.search(r"(?<!stamp)[.][0-9a-f]{16}(?:[.]part)?$", path.name)]


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace isn't installed: apt-get install strace")
def test_every_call_that_strace_sees_is_one_that_we_can_crash_at(intake, crashes, site):
    intake.start()
    log = site.home / "strace"
    tracing = subprocess.Popen(
        ["strace", "-f", "-qq", "-y", "-e", f"trace={WRITING}", "-o", str(log), "-p", str(intake.pid)],
        stderr=subprocess.DEVNULL,
    )
    wait(lambda: "TracerPid:\t0" not in Path(f"/proc/{intake.pid}/status").read_text(), "strace")

    assert intake.offer(site.tunnel_mail(to=["ann@example.org", "bob@example.org"])) == "discard"

    ours = Counter(KERNEL.get(name, name) for name in without_names(crashes.calls()))
    tracing.send_signal(signal.SIGINT)
    tracing.wait(20)
    # The main process and its threads; not sendmail, which they start.
    threads = {path.name for path in Path(f"/proc/{intake.pid}/task").iterdir()}
    lines = [re.match(r"(\d+) +(\w+)\((.*)", line) for line in log.read_text().splitlines()]
    theirs = Counter(
        line[2]
        for line in lines
        if line and not (line[2].startswith("open") and not re.search("O_CREAT|O_TRUNC", line[3]))
        # A thread that came and went is ours as well: it opens no program.
        if line[1] in threads or line[2] in ("writev", "linkat", "mkdirat", "fsync")
    )
    assert theirs - ours == Counter()
    assert sum(ours.values()) > 30


def test_an_intake_killed_at_any_call_leaves_one_copy_and_a_notice_or_two(intake, site):
    """Ann has no mailbox yet, Bob has one: all that a delivery can do is done."""
    mailbox_of(site.mail_root, "bob@example.org").ensure()

    crashed = intake.at_every_call(
        lambda number: site.tunnel_mail(original(number), [f"ann{number}@example.org", "bob@example.org"])
    )

    quiet(site)
    notices = told(site)
    bobs = Counter(entry.name for entry in mailbox_of(site.mail_root, "bob@example.org").list())
    for at, (call, raw) in enumerate(crashed.items(), 1):
        ann, digest = f"ann{at}@example.org", digest_of(site, raw)
        assert [stored.endswith(original(at)) for stored in site.stored(ann)] == [True], call
        assert bobs[digest] == 1, call
        for address in (ann, "bob@example.org"):
            assert 1 <= notices[notice_id(digest, address)] <= 2, call
            assert intake.ledger.has(digest, address), call
    # What a crash can leave is a file in tmp/, and nothing else.
    assert {path.parent.name for path in leftovers(site)} <= {"tmp"}
    assert not [*site.home.glob("ledger/??/*.begun"), *site.home.glob("ledger/??/*.delivered")]
    kinds = {call.split()[1] for call in crashed}
    assert kinds == {"mkdirat", "openat64", "open64", "write", "fsync", "linkat", "unlinkat", "rename", "writev",
                     "fchmod", "memfd_create"}  # fmt: skip


def test_an_order_of_a_pdf_killed_at_any_call_is_one_pdf_whose_password_the_portal_knows(intake, site):
    spool = Spool(site.home / "pdf")

    crashed = intake.at_every_call(
        lambda number: site.tunnel_mail(original(number), [f"ann{number}@example.org"], options=("otp-pdf",))
    )

    jobs = {path.name for path in (spool.root / "new").iterdir()}
    expected = set()
    for at, (call, raw) in enumerate(crashed.items(), 1):
        ann, digest = f"ann{at}@example.org", digest_of(site, raw)
        expected.add(pdf_id := id_of(digest, ann))
        mailbox = mailbox_of(site.mail_root, ann)
        assert [entry.name for entry in mailbox.list(pdf_record.MAIL_FOLDER)] == [digest], call
        assert mailbox.list() == [], call
        record = pdf_record.find(mailbox.root.parent, pdf_id)
        with spool.claim(pdf_id) as claim:
            assert claim.job().raw == original(at), call
            assert (record.name, record.generation) == (digest, claim.job().generation), call
        assert intake.ledger.has(digest, ann), call
    assert jobs >= expected
    # The one that was sent without a crash.
    assert len(jobs) <= len(expected) + 1
    assert site.notices() == []


def test_a_mail_that_does_not_fit_killed_at_any_call_bounces_once_or_twice(intake, site):
    site.quota = 1000
    site.write()
    mailbox_of(site.mail_root, "ann@example.org").deliver(b"x" * 1000, "filling")

    crashed = intake.at_every_call(lambda number: site.tunnel_mail(original(number), ["ann@example.org"]))

    quiet(site)
    left = told(site)
    assert [entry.name for entry in mailbox_of(site.mail_root, "ann@example.org").list()] == ["filling"]
    for call, raw in crashed.items():
        digest = digest_of(site, raw)
        assert 1 <= left[_code("bounce", digest, "ann@example.org")] <= 2, call
        assert intake.ledger.has(digest, "ann@example.org"), call
