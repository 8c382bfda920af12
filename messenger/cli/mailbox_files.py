"""``messenger mailbox export, import``: one person's mail as a file, and a file into one person's mail."""

import hashlib
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click

from ..accounts import DONE
from ..envelope import normal
from ..mailbox import Mailbox, NoSuchMessage, mailbox_of
from . import mail_archive
from .account_database import administrator, opened
from .mail_archive import FORMATS, Message
from .options import config_option, echo_json, json_option, settings
from .status import CANT_CREATE, DATA, NO_USER, OK, Failed

#: How far it is, is said so often.
SAY_SECONDS = 10
#: So much is read as root before it is delivered as the mailboxes' owner.
BATCH_OCTETS = 32_000_000
#: A message that is moved while we export is looked for so often.
LOOKS = 3
_DIGEST = re.compile(r"[0-9a-f]{64}")


@click.command(
    short_help="Write somebody's mail to a file.",
    epilog="Example: messenger mailbox export anna@example.net --out anna.tar",
)
@click.argument("address")
@click.option("--out", required=True, help="The file to write, or - for standard output.")
@click.option(
    "--format", "kind", type=click.Choice(FORMATS), help="Else by the file's name; tar where it says nothing."
)
@click.option("--force", is_flag=True, help="Replace an existing file.")
@json_option
@config_option
def export(address: str, out: str, kind: str | None, force: bool, as_json: bool) -> int:
    """Write all mail of ADDRESS to a file: a tar or zip holds a Maildir with folders and flags, an mbox neither.

    One message at a time is in memory. With `--out -` what was done is said on standard error.
    """
    config, wanted = settings(), normal(address)
    count = 0

    def counted(messages: Iterable[Message]) -> Iterator[Message]:
        nonlocal count
        for message in _saying(messages):
            count += 1
            yield message

    with _output(out, force) as file, opened(config) as accounts:
        box = mailbox_of(config.mail.root, wanted)
        if not box.exists():
            raise Failed(f"{wanted}: no mailbox; `messenger mailbox list` shows those there are", NO_USER)
        mail_archive.write(file, kind or mail_archive.format_of(Path(out)), counted(_messages(box)))
        found = accounts.find(wanted)
        detail = f"{count} messages" if found else f"{count} messages of {wanted}"
        accounts.audit("export-mail", DONE, found.id if found else None, administrator(), int(time.time()), detail)
    if as_json and out != "-":
        echo_json({"address": wanted, "act": "export", "file": out, "messages": count})
    else:
        click.echo(f"{wanted}: {count} messages written to {out}", err=out == "-")
    return OK


@click.command(
    name="import",
    short_help="Put mail from a file into a mailbox.",
    epilog="Example: messenger mailbox import anna@example.net anna.tar",
)
@click.argument("address")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--folder", help="Everything into this folder; else where the file says, or the inbox.")
@json_option
@config_option
def import_(address: str, source: Path, folder: str | None, as_json: bool) -> int:
    """Put the messages of SOURCE into the mailbox of ADDRESS: an mbox, a Maildir, or a tar or zip of one.

    A message that is there already, in any folder, isn't put there again: run it twice, or go on after a stop. Nobody
    gets a notice. The quota doesn't keep anything out.
    """
    config, wanted = settings(), normal(address)
    box = mailbox_of(config.mail.root, wanted)
    new = there = 0
    with opened(config) as accounts:
        known = {_content(message.raw) for message in _messages(box)} if box.exists() else set()
    limit = max(config.intake.size_limit, config.reply.size_limit, mail_archive.MESSAGE_OCTETS)
    for batch in _batches(_saying(mail_archive.read(source, limit))):
        with opened(config):
            for message in batch:
                content = _content(message.raw)
                put = content not in known and _deliver(box, message, folder)
                known.add(content)
                new, there = new + put, there + (not put)
    with opened(config) as accounts:
        found = accounts.find(wanted)
        detail = f"{new} messages" if found else f"{new} messages of {wanted}"
        accounts.audit("import-mail", DONE, found.id if found else None, administrator(), int(time.time()), detail)
    if as_json:
        echo_json({"address": wanted, "act": "import", "imported": new, "there_already": there})
    else:
        click.echo(f"{wanted}: {new} messages imported, {there} were there already")
    return OK


def _deliver(box: Mailbox, message: Message, folder: str | None) -> bool:
    """Deliver under the name it had here, so that a retry of its sender finds it; else under its own digest."""
    digest = hashlib.sha256(message.raw).hexdigest()
    name = message.name if _DIGEST.fullmatch(message.name) else digest
    where = message.folder if folder is None else folder
    flags = "" if message.new else message.flags
    try:
        return box.deliver(message.raw, name, where, flags, message.received) or (
            name != digest and box.deliver(message.raw, digest, where, flags, message.received)
        )
    except ValueError as error:
        raise Failed(f"{error}; choose one with --folder", DATA) from error


def _messages(box: Mailbox) -> Iterator[Message]:
    """Every message once, even one that is filed in another folder meanwhile."""
    seen: set[tuple[str, str]] = set()
    names: set[str] = set()
    for look in range(LOOKS):
        for folder in box.folders():
            for entry in sorted(box.list(folder), key=lambda entry: (entry.received, entry.name)):
                if (entry.name, folder) in seen or (look and entry.name in names):
                    continue
                try:
                    raw = box.read(entry.name, folder)
                except NoSuchMessage:
                    continue  # the next look finds it where it is then
                seen.add((entry.name, folder))
                names.add(entry.name)
                yield Message(raw, entry.name, folder, entry.flags, entry.received, entry.new)


def _content(raw: bytes) -> bytes:
    """What makes two messages the same, whatever an mbox did to their line ends."""
    return hashlib.sha256(raw.replace(b"\r\n", b"\n").rstrip(b"\n")).digest()


def _batches(messages: Iterable[Message]) -> Iterator[list[Message]]:
    batch: list[Message] = []
    for message in messages:
        batch.append(message)
        if sum(len(one.raw) for one in batch) > BATCH_OCTETS or len(batch) >= 100:
            yield batch
            batch = []
    yield batch


def _saying(messages: Iterable[Message]) -> Iterator[Message]:
    said = time.monotonic()
    for count, message in enumerate(messages, 1):
        yield message
        if time.monotonic() - said > SAY_SECONDS:
            said = time.monotonic()
            click.echo(f"messenger: {count:,} messages so far", err=True)


@contextmanager
def _output(out: str, force: bool) -> Iterator[IO[bytes]]:
    """A file that appears when all of it is there, opened by whoever runs us; or standard output."""
    if out == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(out)
    if path.exists() and not force:
        raise Failed(f"{path}: is there already; --force replaces it", CANT_CREATE)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)
