"""What kind of file an attachment is, in words; and what it can be looked at as.

Goes by what the sender says: type and name, neither of which is proof of anything. Where both say something, the name
counts for the words, because that is what the reader's own computer will open the file by.
"""

from dataclasses import dataclass

from messenger import message
from messenger.message import Part

from .language import gettext as _

OCTETS = "application/octet-stream"
TNEF = "application/ms-tnef"
#: Types by the endings of names, for those that are declared as bytes of some kind.
TYPES = {
    "csv": "text/csv",
    "gif": "image/gif",
    "ics": "text/calendar",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "log": "text/plain",
    "md": "text/markdown",
    "pdf": "application/pdf",
    "png": "image/png",
    "txt": "text/plain",
    "vcf": "text/vcard",
    "webp": "image/webp",
}
#: Other spellings of the same.
ALIASES = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "application/x-pdf": "application/pdf",
    "application/ics": "text/calendar",
    "text/x-vcalendar": "text/calendar",
    "text/x-vcard": "text/vcard",
    "text/directory": "text/vcard",
    "text/comma-separated-values": "text/csv",
    "application/csv": "text/csv",
}
UNSAID = frozenset({OCTETS, "application/x-download", "application/force-download", "application/download"})
PICTURES = frozenset({"image/gif", "image/jpeg", "image/png", "image/webp"})
#: Texts that are shown as they are. Not HTML, not XML: somebody could call a page by such a type.
TEXTS = frozenset(
    {"text/plain", "text/csv", "text/tab-separated-values", "text/markdown", "text/x-log", "text/x-patch",
     "text/x-diff", "application/json"}
)  # fmt: skip
#: What a kind of file is called like: endings, then types as they are or by their beginning ("audio/").
PROGRAM, ARCHIVE, WEB, WORD, TABLE, SLIDES = "program", "archive", "web", "word", "table", "slides"
ENDINGS = {
    PROGRAM: "exe com scr pif bat cmd msi msix msc cpl dll js jse vbs vbe wsf wsh hta ps1 lnk jar reg apk app dmg pkg "
    "deb rpm sh iso img vhd chm url scf",
    ARCHIVE: "zip 7z rar tar gz tgz bz2 xz zst",
    WEB: "html htm xhtml mht mhtml svg shtml",
    WORD: "doc docx docm dot dotx rtf",
    TABLE: "xls xlsx xlsm xlsb xlt",
    SLIDES: "ppt pptx pptm pps ppsx",
    "odt": "odt ott",
    "ods": "ods ots",
    "odp": "odp otp",
    "pdf": "pdf",
    "csv": "csv tsv",
    "text": "txt log md json ini conf",
    "calendar": "ics ical",
    "contact": "vcf vcard",
    "mail": "eml msg",
    "picture": "jpg jpeg png gif webp bmp tif tiff heic heif avif",
    "sound": "mp3 m4a ogg oga opus wav flac aac",
    "film": "mp4 m4v mov avi mkv webm mpg mpeg",
    "signature": "p7s asc sig",
    "certificate": "p7c cer crt pem p12 pfx",
    "xml": "xml xsl",
}
BY_ENDING = {ending: kind for kind, endings in ENDINGS.items() for ending in endings.split()}
BY_TYPE = {
    "application/pdf": "pdf",
    "application/msword": WORD,
    "application/rtf": WORD,
    "text/rtf": WORD,
    "application/vnd.ms-excel": TABLE,
    "application/vnd.ms-powerpoint": SLIDES,
    "application/zip": ARCHIVE,
    "application/gzip": ARCHIVE,
    "application/x-zip-compressed": ARCHIVE,
    "application/x-7z-compressed": ARCHIVE,
    "application/vnd.rar": ARCHIVE,
    "application/x-tar": ARCHIVE,
    "application/x-msdownload": PROGRAM,
    "application/x-msdos-program": PROGRAM,
    "application/javascript": PROGRAM,
    "text/javascript": PROGRAM,
    "application/java-archive": PROGRAM,
    "text/html": WEB,
    "application/xhtml+xml": WEB,
    "image/svg+xml": WEB,
    "text/csv": "csv",
    "text/tab-separated-values": "csv",
    "text/calendar": "calendar",
    "text/vcard": "contact",
    "message/rfc822": "mail",
    "message/global": "mail",
    "message/delivery-status": "report",
    "message/disposition-notification": "report",
    "text/rfc822-headers": "report",
    "application/pkcs7-signature": "signature",
    "application/x-pkcs7-signature": "signature",
    "application/pgp-signature": "signature",
    "application/pgp-keys": "certificate",
    "application/xml": "xml",
    "text/xml": "xml",
    "application/json": "text",
    TNEF: "tnef",
}
BY_BEGINNING = (
    ("application/vnd.openxmlformats-officedocument.wordprocessingml", WORD),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml", TABLE),
    ("application/vnd.openxmlformats-officedocument.presentationml", SLIDES),
    ("application/vnd.oasis.opendocument.text", "odt"),
    ("application/vnd.oasis.opendocument.spreadsheet", "ods"),
    ("application/vnd.oasis.opendocument.presentation", "odp"),
    ("image/", "picture"),
    ("audio/", "sound"),
    ("video/", "film"),
    ("text/", "text"),
)


@dataclass(frozen=True)
class Kind:
    """What the list of attachments says of one."""

    words: str
    #: Opening such a file can hand the computer over to whoever made it.
    dangerous: bool
    #: What it can be looked at as: "picture", "text", "pdf", "calendar", "contact", "mail"; "" if as nothing.
    preview: str


def kind_of(part: Part) -> Kind:
    """Say what *part* is, going by its name and its type."""
    found = _kind(part)
    return Kind(_words(found), found in (PROGRAM, WEB), preview_of(part))


def claimed(part: Part) -> str:
    """The media type the sender gives the part: declared, or by the name where what is declared says nothing."""
    declared = ALIASES.get(part.content_type, part.content_type)
    return TYPES.get(_ending(part), OCTETS) if declared in UNSAID else declared


def preview_of(part: Part) -> str:
    """What *part* can be looked at as, if its content is what it claims to be."""
    claim = claimed(part)
    if message.is_mail(part):
        return "mail"
    if claim in PICTURES:
        return "picture"
    if claim in TEXTS:
        return "text"
    return {"application/pdf": "pdf", "text/calendar": "calendar", "text/vcard": "contact"}.get(claim, "")


def is_tnef(part: Part) -> bool:
    """Outlook's own wrapping of a mail and its attachments."""
    return part.content_type == TNEF or part.filename.lower() == "winmail.dat"


def _ending(part: Part) -> str:
    return part.filename.lower().rpartition(".")[2]


def _kind(part: Part) -> str:
    if is_tnef(part):
        return "tnef"
    by_type = BY_TYPE.get(claimed(part), "")
    # A name without an ending, or one nobody knows, leaves the word to the type.
    by_name = BY_ENDING.get(_ending(part), "") if "." in part.filename else ""
    if PROGRAM in (by_name, by_type):
        return PROGRAM
    beginnings = (kind for beginning, kind in BY_BEGINNING if claimed(part).startswith(beginning))
    return by_name or by_type or next(beginnings, "")


def _words(kind: str) -> str:
    return {
        PROGRAM: _("Program"),
        ARCHIVE: _("Archive with files in it"),
        WEB: _("Web page"),
        WORD: _("Word document"),
        TABLE: _("Excel table"),
        SLIDES: _("PowerPoint slides"),
        "odt": _("OpenDocument text"),
        "ods": _("OpenDocument table"),
        "odp": _("OpenDocument slides"),
        "pdf": _("PDF document"),
        "csv": _("Table as text"),
        "text": _("Text"),
        "calendar": _("Calendar entry"),
        "contact": _("Contact"),
        "mail": _("Message"),
        "report": _("Report on delivery"),
        "picture": _("Picture"),
        "sound": _("Sound"),
        "film": _("Video"),
        "signature": _("Signature"),
        "certificate": _("Certificate or key"),
        "xml": _("Data (XML)"),
        "tnef": _("Outlook’s own format"),
    }.get(kind, _("File"))
