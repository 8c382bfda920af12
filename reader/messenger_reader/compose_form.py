"""What comes in with the form that mail is written in: text, buttons, and files, which may be large.

How much it is, is known before any of it is read. Where it is too much, the text is taken and the files are not: what
somebody typed is never lost to a file. Knows nothing of mailboxes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from flask import abort, request
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import MultiPartParser

from messenger import reply
from messenger.reply_mail import OCTETS, File

from .drafts import FORWARD, ID, KINDS, NEW, Draft
from .opened import NAME

#: What all fields but the files may hold, in bytes.
FIELDS = 4_000_000
#: How many fields and files.
PARTS = 300
FILENAME_CHARACTERS = 150
SAVE, SEND, QUOTE, UNQUOTE = "save", "send", "quote", "unquote"


@dataclass(frozen=True)
class Form:
    draft: Draft
    #: The name of the draft it was opened from; empty for a new one.
    name: str
    #: Whose page it was.
    whose: str
    #: The button.
    do: str
    #: Keys of files that are not to go along any more.
    removed: frozenset[str]
    #: Names of files that were too much, and weren't taken.
    refused: tuple[str, ...] = ()


class _Nothing:
    """A file that keeps nothing of what is written to it."""

    def write(self, data: bytes) -> int:
        return len(data)

    def seek(self, *_: int) -> int:
        return 0


def read(room: int, patience: int) -> Form:
    """Read the form of this request, with up to *room* bytes of files; of up to *patience* bytes the text is kept."""
    length = request.content_length
    limit = room + FIELDS
    if length is None:
        abort(411)
    if length > max(limit, patience):
        raise RequestEntityTooLarge
    request.max_form_parts = PARTS
    request.max_form_memory_size = FIELDS
    # Not the length itself: gunicorn's stream ends by itself, and a look for its end there counts as one byte too many.
    request.max_content_length = length + 1
    if length <= limit:
        form = _form(request.form)
        files = tuple(_file(one) for one in request.files.getlist("files") if one.filename)
        if sum(len(file.content) for file in files) <= room:
            return replace(form, draft=replace(form.draft, files=files))
        return replace(form, refused=tuple(file.name for file in files))
    fields, found = _read_without_files(length)
    return replace(_form(fields), refused=tuple(_name(one.filename or "") for one in found if one.filename))


def _read_without_files(length: int) -> tuple[MultiDict[str, str], Iterable[FileStorage]]:
    """Read all of it, and keep the text: a browser shows no answer before it has sent everything."""
    boundary = request.mimetype_params.get("boundary", "")
    if request.mimetype != "multipart/form-data" or not boundary:
        raise RequestEntityTooLarge
    parser = MultiPartParser(
        stream_factory=lambda *_, **__: _Nothing(),  # type: ignore[arg-type]
        max_form_memory_size=FIELDS,
        max_form_parts=PARTS,
    )
    try:
        fields, files = parser.parse(request.stream, boundary.encode("latin-1"), length)
    except ValueError:
        abort(400)
    return fields, files.getlist("files")


def _form(fields: MultiDict[str, str]) -> Form:
    draft_id, kind, original = (fields.get(name, "") for name in ("id", "kind", "original"))
    if not ID.fullmatch(draft_id) or kind not in KINDS:
        abort(400)
    to = ", ".join(one for one in fields.getlist("to") if one.strip())
    draft = Draft(
        id=draft_id,
        kind=kind,
        original=original if kind != NEW and NAME.fullmatch(original) else "",
        quote="quote" in fields,
        to=to[: reply.TYPED_CHARACTERS],
        cc=fields.get("cc", "")[: reply.TYPED_CHARACTERS],
        subject=reply.one_line(fields.get("subject", "")),
        text=reply.plain(fields.get("text", "")),
    )
    name = fields.get("draft", "")
    return Form(
        draft=draft,
        name=name if NAME.fullmatch(name) else "",
        whose=fields.get("whose", "")[:320],
        do=fields.get("do", SAVE),
        removed=frozenset(fields.getlist("remove")),
    )


def _file(given: FileStorage) -> File:
    return File(_name(given.filename or ""), given.mimetype or OCTETS, given.read())


def _name(given: str) -> str:
    """A bare file name: some browsers send a path."""
    name = reply.one_line(given.replace("\\", "/").rpartition("/")[2])
    stem, dot, extension = name.rpartition(".")
    if len(name) > FILENAME_CHARACTERS and dot and len(extension) <= 20:
        return stem[: FILENAME_CHARACTERS - 1 - len(extension)] + dot + extension
    return name[:FILENAME_CHARACTERS] or "file"


def takes_files_of_original(draft: Draft, name: str) -> bool:
    """Whether the original's files go along that haven't been kept in a draft yet."""
    return draft.kind == FORWARD and not name
