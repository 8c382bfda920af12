"""The same Maildirs served by a real IMAP server: Dovecot and we see the same messages and flags."""

import contextlib
import hashlib
import imaplib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from messenger.mailbox import mailbox_of
from messenger_reader import drafts
from messenger_reader.mails import Mails

ADDRESS = "anna@example.org"
RAW = b"From: eva@example.org\r\nSubject: Gr\xc3\xbc\xc3\x9fe\r\n\r\nHello\r\n.\r\n\xff\r\n"
NAME = hashlib.sha256(RAW).hexdigest()
#: Mail belongs to the group; Dovecot reads as a user who has nothing else in common with who delivers.
NOBODY = 65534

CONFIGURATION = """
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
default_internal_user = {internal_user}
default_internal_group = {internal_group}
default_login_user = {login_user}
first_valid_uid = 1
mail_location = maildir:{mail_root}/%Ld/%Ln/Maildir
mail_plugins = quota
plugin {{
  quota = maildir:User quota
  quota_rule = Trash:ignore
}}
protocol imap {{
  mail_plugins = quota imap_quota
}}
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={home}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


@dataclass(frozen=True)
class Served:
    """A mail root and the port where Dovecot serves it."""

    root: Path
    port: int

    @contextlib.contextmanager
    def imap(self, folder="INBOX"):
        with imaplib.IMAP4("127.0.0.1", self.port, timeout=20) as client:
            client.login(ADDRESS, "secret")
            assert client.select(folder)[0] == "OK"
            yield client


@pytest.fixture(scope="module")
def served():
    if not shutil.which("dovecot", path=os.environ.get("PATH", "") + ":/usr/sbin"):
        pytest.fail("these tests need an IMAP server: apt-get install dovecot-imapd", pytrace=False)
    # Not below pytest's folder: that is closed to the user Dovecot reads as, and too long a path for its sockets.
    home = Path(tempfile.mkdtemp(prefix="imap."))
    home.chmod(0o755)
    mail_root = home / "mail"
    mail_root.mkdir()
    root = os.geteuid() == 0
    if root:
        os.chown(mail_root, -1, NOBODY)
    mail_root.chmod(0o2770)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    me = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    group = subprocess.run(["id", "-gn"], capture_output=True, text=True, check=True).stdout.strip()
    (home / "dovecot.conf").write_text(
        CONFIGURATION.format(
            home=home,
            mail_root=mail_root,
            port=port,
            internal_user="dovecot" if root else me,
            internal_group="dovecot" if root else group,
            login_user="dovenull" if root else me,
            uid=NOBODY if root else os.getuid(),
            gid=NOBODY if root else os.getgid(),
        )
    )
    dovecot = subprocess.Popen(
        ["/usr/sbin/dovecot", "-F", "-c", str(home / "dovecot.conf")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        wait_for(port, dovecot, home / "log")
        yield Served(mail_root, port)
    finally:
        dovecot.send_signal(signal.SIGTERM)
        dovecot.wait(20)
        shutil.rmtree(home, ignore_errors=True)


def wait_for(port, process, log):
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    said = process.stdout.read().decode() if process.poll() is not None else ""
    pytest.fail(f"Dovecot did not start: {said} {log.read_text() if log.exists() else ''}")


@pytest.fixture
def anna(served):
    """A mailbox that is empty at first."""
    mailbox = mailbox_of(served.root, ADDRESS)
    shutil.rmtree(mailbox.root.parent, ignore_errors=True)
    return mailbox


def flags_of(client):
    """UID to flags, as the IMAP server tells them."""
    _, answers = client.uid("FETCH", "1:*", "(FLAGS)")
    found = (
        re.search(rb"UID (\d+).*FLAGS \(([^)]*)\)|FLAGS \(([^)]*)\) UID (\d+)", answer) for answer in answers if answer
    )
    return {
        int(match[1] or match[4]): set((match[2] or match[3] or b"").decode().split()) - {"\\Recent"}
        for match in found
        if match
    }


def body_of(client, number="1"):
    return client.fetch(number, "(BODY.PEEK[])")[1][0][1]


def test_an_imap_client_reads_what_was_delivered(served, anna):
    anna.deliver(RAW, NAME)

    with served.imap() as client:
        assert body_of(client) == RAW
        assert flags_of(client) == {1: set()}
        date = imaplib.Internaldate2tuple(client.fetch("1", "(INTERNALDATE)")[1][0])
    assert int(time.mktime(date)) == anna.list()[0].received


def test_mail_keeps_its_order_of_delivery(served, anna):
    for number in (3, 1, 2):
        anna.deliver(RAW + b"%d\r\n" % number, f"{number:064x}")
        with served.imap() as client:
            client.noop()

    with served.imap() as client:
        assert [body_of(client, str(number))[-3:-2] for number in (1, 2, 3)] == [b"3", b"1", b"2"]


def test_flags_set_here_are_shown_there(served, anna):
    anna.deliver(RAW, NAME)
    anna.flag(NAME, add="SRF")

    with served.imap() as client:
        assert flags_of(client) == {1: {"\\Seen", "\\Answered", "\\Flagged"}}
        anna.flag(NAME, add="D", remove="R")
        client.noop()
        assert flags_of(client) == {1: {"\\Seen", "\\Flagged", "\\Draft"}}


def test_drafts_go_on_here_and_there(served, anna):
    ours = drafts.Draft("0" * 32, to="eva@example.org", subject="Größe", text="Half a sentence")
    drafts.save(anna, ours, ADDRESS, "example.org", 1_800_000_000)

    with served.imap("Drafts") as client:
        assert flags_of(client) == {1: {"\\Seen", "\\Draft"}}
        theirs = body_of(client).replace(b"Half a sentence", b"A whole one.")
        client.append("Drafts", r"(\Seen \Draft)", None, theirs)
        client.store("1", "+FLAGS", r"(\Deleted)")
        client.expunge()

    [entry] = anna.list("Drafts")
    found = drafts.load(anna.read(entry.name, "Drafts"), entry.name)
    assert entry.flags == "DS"
    assert (found.id, found.to, found.subject, found.text) == (ours.id, ours.to, ours.subject, "A whole one.")


def test_flags_set_there_are_shown_here(served, anna):
    anna.deliver(RAW, NAME)

    with served.imap() as client:
        client.store("1", "+FLAGS", r"(\Seen \Answered \Flagged \Draft \Deleted)")

    assert [entry.flags for entry in anna.list()] == ["DFRST"]
    assert anna.read(NAME) == RAW

    with served.imap() as client:
        client.store("1", "-FLAGS", r"(\Answered \Deleted)")

    assert [entry.flags for entry in anna.list()] == ["DFS"]


def test_what_an_imap_client_has_flagged_is_not_delivered_again(served, anna):
    anna.deliver(RAW, NAME)
    with served.imap() as client:
        client.store("1", "+FLAGS", r"(\Seen \Flagged)")

    assert anna.deliver(RAW, NAME) is False


def test_labels_of_an_imap_client_survive_our_flags_and_stop_a_second_delivery(served, anna):
    anna.deliver(RAW, NAME)
    with served.imap() as client:
        client.store("1", "+FLAGS", r"(\Seen $Important Invoices)")

    assert anna.deliver(RAW, NAME) is False
    assert anna.read(NAME) == RAW
    anna.flag(NAME, add="R")

    with served.imap() as client:
        assert flags_of(client) == {1: {"\\Seen", "\\Answered", "$Important", "Invoices"}}


def test_mail_moved_here_is_found_there(served, anna):
    anna.deliver(RAW, NAME)
    anna.flag(NAME, add="S")
    anna.move(NAME, "", "Trash")
    anna.deliver(RAW + b"sent\r\n", "sent", folder="Sent", flags="S")

    with served.imap("Trash") as client:
        assert body_of(client) == RAW
        assert flags_of(client) == {1: {"\\Seen"}}
        folders = b" ".join(client.list()[1])
        assert b"Trash" in folders
        assert b"Sent" in folders
    with served.imap("Sent") as client:
        assert body_of(client) == RAW + b"sent\r\n"
    with served.imap() as client:
        assert flags_of(client) == {}


def test_mail_moved_there_is_found_here(served, anna):
    anna.deliver(RAW, NAME)
    with served.imap() as client:
        client.create("Trash")
        client.store("1", "+FLAGS", r"(\Seen)")
        assert client.uid("MOVE", "1", "Trash")[0] == "OK"

    assert anna.list() == []
    (entry,) = anna.list("Trash")
    assert (entry.flags, entry.size) == ("S", len(RAW))
    assert anna.read(entry.name, "Trash") == RAW
    assert anna.deliver(RAW, NAME) is False


def test_mail_put_there_is_listed_and_flagged_here(served, anna):
    anna.deliver(RAW, NAME)
    with served.imap() as client:
        client.append("INBOX", r"(\Seen)", None, RAW + b"appended\r\n")

    (other,) = [entry for entry in anna.list() if entry.name != NAME]
    assert other.flags == "S"
    assert anna.read(other.name) == (RAW + b"appended\r\n").replace(b"\r\n", b"\n")  # Dovecot's way to store
    assert anna.flag(other.name, add="R") == "RS"

    with served.imap() as client:
        assert {"\\Seen", "\\Answered"} in flags_of(client).values()


def test_expunged_mail_is_gone_here(served, anna):
    anna.deliver(RAW, NAME)
    with served.imap() as client:
        client.store("1", "+FLAGS", r"(\Deleted)")
        client.expunge()

    assert anna.list() == []


def test_files_of_the_imap_server_are_no_messages(served, anna):
    anna.deliver(RAW, NAME)
    with served.imap() as client:
        body_of(client)

    assert any(path.name.startswith("dovecot") for path in anna.root.iterdir())
    assert [entry.name for entry in anna.list()] == [NAME]


def quota_of(client):
    """Kibibytes that are used, and those of the quota, as the IMAP server tells them (RFC 2087)."""
    _, (_, answers) = client.getquotaroot("INBOX")
    storage = re.search(rb"STORAGE (\d+) (\d+)", b" ".join(answers))
    assert storage, answers
    return tuple(map(int, storage.groups()))


def test_the_imap_server_takes_our_quota_and_agrees_on_what_is_used(served, anna):
    limit = 1_024_000
    anna.deliver(b"x" * 100 * 1024, "first")
    anna.deliver(b"x" * 50 * 1024, "second")
    anna.deliver(b"x" * 30 * 1024, "third", "Trash", flags="S")
    anna.usage(limit, time.time())
    anna.deliver(b"x" * 25 * 1024, "fourth")
    anna.move("second", "", "Trash")

    with served.imap() as client:
        assert quota_of(client) == (125, 1000)
        client.create("Archive")
        client.append("Archive", None, None, b"y" * 10 * 1024)
        client.store("1", "+FLAGS", "\\Deleted")
        client.expunge()
        assert quota_of(client) in ((35, 1000), (110, 1000))
        by_dovecot = quota_of(client)[0] * 1024

    kept = anna.usage(limit, time.time())
    counted = sum(entry.size for folder in ("", "Archive") for entry in anna.list(folder))
    assert (kept.octets, counted) == (by_dovecot, by_dovecot)
    (anna.root / "maildirsize").unlink()
    assert anna.usage(limit, time.time()) == kept


def test_the_portal_and_the_imap_server_agree_on_folders_flags_and_moves(served, anna, tmp_path):
    portal = Mails(anna, tmp_path, ADDRESS)
    names = [f"{number:064x}" for number in range(5)]
    for name in names:
        anna.deliver(RAW + name.encode() + b"\r\n", name)

    def agree(client):
        """Both say of every folder how many there are and how many unread; returns the portal's word."""
        counts = {one.folder or "INBOX": (one.total, one.unread) for one in portal.folders()}
        with served.imap() as fresh:  # an open connection doesn't learn of folders that others make
            lines = [answer.decode() for answer in fresh.list()[1] if b"Noselect" not in answer]
        listed = {line.rpartition(" ")[2].strip('"') for line in lines}
        assert {folder for folder, (total, _) in counts.items() if total} <= listed <= set(counts)
        for folder in listed:
            status = client.status(f'"{folder}"', "(MESSAGES UNSEEN)")[1][0].decode()
            told = re.search(r"MESSAGES (\d+) UNSEEN (\d+)", status)
            assert (int(told[1]), int(told[2])) == counts[folder], folder
        return counts

    with served.imap() as client:
        assert agree(client)["INBOX"] == (5, 5)
        client.store("1", "+FLAGS", r"(\Seen $Important)")

        # The portal moves, deletes and stars while the client has the inbox open.
        assert portal.moved(names[:2], "Archive", "") == names[:2]
        assert portal.move(names[2:3], "Trash") == 1
        portal.flag(names[0], add="F")
        portal.flag(names[3], add="S")
        assert client.noop()[0] == "OK"
        assert agree(client) == {"INBOX": (2, 1), "Drafts": (0, 0), "Sent": (0, 0), "Archive": (2, 1), "Trash": (1, 1)}

        # The client makes a folder, moves mail there, and takes one back out of the trash.
        folder = "B&APw-ro.Post"
        client.create(f'"{folder}"')
        assert client.uid("MOVE", "5", f'"{folder}"')[0] == "OK"
        client.select("Trash")
        assert client.uid("MOVE", "1", "INBOX")[0] == "OK"
        assert portal.removed(names[2:3], "Trash") == []  # gone meanwhile
        counts = agree(client)
        assert (counts[folder], counts["INBOX"], counts["Trash"]) == ((1, 1), (2, 1), (0, 0))
        (moved,) = portal.page(folder).rows
        assert names[4].encode() in portal.read(moved.name)

        # The portal goes on with what the client has moved.
        assert portal.move([moved.name], "Trash") == 1
        client.select("Archive")
        assert sorted(map(sorted, flags_of(client).values())) == [[], ["\\Flagged", "\\Seen"]]
        assert portal.removed([moved.name], "Trash") == [moved.name]
        assert portal.move(names[:2], "") == 2
        client.noop()
        counts = agree(client)
        assert (counts["INBOX"], counts["Archive"], counts["Trash"], counts[folder]) == ((4, 2), (0, 0), (0, 0), (0, 0))
