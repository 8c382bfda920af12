"""Read a file of contacts (vCard 2.1, 3 and 4; RFC 6350): text in, plain values out.

Our own few lines, since the one library there is (vobject) reads no further than the first line that is not as it
should be; and address books write such lines. One pass, everything bounded; what isn't understood is left out.
"""

import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from messenger.visible import line

#: Characters of a file that are read.
TEXT = 500_000
CONTACTS = 20
VALUES = 20  # of one kind, in one contact
WORDS = 300
NOTE = 2_000
_FOLD = re.compile(r"\n[ \t]")
_QUOTED = re.compile(r"(?:^|;)\s*(?:ENCODING=)?QUOTED-PRINTABLE(?:;|$)", re.IGNORECASE)
_CHARSET = re.compile(r"(?:^|;)\s*CHARSET=(utf-8|iso-8859-1|windows-1252)(?:;|$)", re.IGNORECASE)
_TYPE = re.compile(r"(?:^|[;,=\"])(home|work|cell|fax)(?=$|[;,\"])", re.IGNORECASE)
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True)
class Value:
    text: str
    #: "home", "work", "cell", "fax" or "".
    kind: str = ""


@dataclass
class Contact:
    name: str = ""
    organisation: str = ""
    title: str = ""
    phones: list[Value] = field(default_factory=list)
    emails: list[Value] = field(default_factory=list)
    addresses: list[Value] = field(default_factory=list)
    sites: list[Value] = field(default_factory=list)
    birthday: str = ""
    note: str = ""


def read(text: str) -> tuple[list[Contact], int]:
    """Return the first contacts in *text*, and how many more there are; none if it is no file of contacts."""
    found: list[Contact] = []
    count, open_ = 0, False
    for name, params, value in _lines(text[:TEXT]):
        if name == "BEGIN":
            open_ = value.strip().upper() == "VCARD"
            count += open_
            if open_ and count <= CONTACTS:
                found.append(Contact())
        elif name == "END":
            open_ = False
        elif open_ and count <= CONTACTS:
            _take(found[-1], name, params, value)
    return found, count - len(found)


def _take(contact: Contact, name: str, params: str, value: str) -> None:
    if _QUOTED.search(params):
        octets = quopri.decodestring(value.encode("utf-8", "replace"))
        charset = _CHARSET.search(params)
        value = octets.decode(charset[1] if charset else "utf-8", "replace")
    kind = _TYPE.search(params)
    entry = Value("", kind[1].lower() if kind else "")
    match name:
        case "FN":
            contact.name = _plain(value)
        case "N" if not contact.name:
            # Family name, given names, further names, what stands before and behind.
            family, given, *rest = (*_components(value), "", "")
            contact.name = line(" ".join(filter(None, (*rest[1:2], given, *rest[:1], family))), WORDS)
        case "ORG":
            contact.organisation = ", ".join(filter(None, _components(value)))[:WORDS]
        case "TITLE" | "ROLE":
            contact.title = contact.title or _plain(value)
        case "BDAY":
            contact.birthday = _plain(value)[:40]
        case "NOTE":
            contact.note = "\n".join(line(one, NOTE) for one in _unescaped(value).splitlines()).strip()[:NOTE]
        case "TEL":
            _add(contact.phones, _plain(value).removeprefix("tel:"), entry.kind)
        case "EMAIL":
            _add(contact.emails, _plain(value), entry.kind)
        case "URL":
            _add(contact.sites, _plain(value), entry.kind)
        case "ADR":
            _add(contact.addresses, ", ".join(filter(None, _components(value)))[:WORDS], entry.kind)


def _add(values: list[Value], text: str, kind: str) -> None:
    if text and len(values) < VALUES:
        values.append(Value(text, kind))


def _lines(text: str) -> Iterator[tuple[str, str, str]]:
    """Each content line as name, parameters and value (RFC 6350, section 3.3)."""
    text = _FOLD.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    waiting = ""
    for one in text.split("\n"):
        if waiting or (one.endswith("=") and _QUOTED.search(one.partition(":")[0].partition(";")[2])):
            # vCard 2.1: a quoted-printable value goes on behind a soft line break.
            waiting += one
            if one.endswith("=") and len(waiting) < TEXT:
                waiting = waiting[:-1]
                continue
            one, waiting = waiting, ""
        head, value = _parted(one)
        name, _, params = head.partition(";")
        # Apple puts lines into groups: "item1.TEL".
        yield name.rpartition(".")[2].strip().upper(), params, value


def _parted(content_line: str) -> tuple[str, str]:
    """Before and behind the first colon that is in no quotes."""
    at = content_line.find(":")
    while at >= 0 and content_line.count('"', 0, at) % 2 and at < 1000:
        at = content_line.find(":", at + 1)
    return (content_line[:at], content_line[at + 1 :]) if at >= 0 else (content_line, "")


def _components(value: str) -> list[str]:
    """The parts of a structured value, empty ones too."""
    return [_plain(one) for one in re.split(r"(?<!\\);", value[: WORDS * 4])]


def _plain(value: str) -> str:
    return line(_unescaped(value[: WORDS * 4]), WORDS)


def _unescaped(value: str) -> str:
    return _ESCAPED.sub(lambda found: "\n" if found[1] in "nN" else found[1], value[: NOTE * 4])
