"""What a site brings along for the look of its pages: a logo, colours, a text about its help desk.

Read once, at the start; whatever can't be used is a LookError with a sentence. Knows no pages.
"""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from xml.parsers import expat

from markupsafe import Markup

from messenger.colours import Accent, accents
from messenger.errors import MessengerError

from . import language, marked_text

LOGO_BYTES = 100 * 1024
HELP_BYTES = 20 * 1024
#: How a file of each type begins. What its name ends in says nothing.
_BEGINNINGS = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"))
_SVG = "http://www.w3.org/2000/svg svg"


class LookError(MessengerError):
    """A file of the site's own look can't be used."""


@dataclass(frozen=True)
class Served:
    """A file as browsers get it."""

    data: bytes
    content_type: str

    @property
    def version(self) -> str:
        """Changes with the content, so that a browser may keep the file for good."""
        return sha256(self.data).hexdigest()[:12]


def logo(path: Path) -> Served:
    """Read the picture at *path*; raises LookError if it is none, or too large."""
    data = _read(path, "[site] logo", LOGO_BYTES)
    kind = next((kind for beginning, kind in _BEGINNINGS if data.startswith(beginning)), "")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        kind = "image/webp"
    if not kind and _is_svg(data):
        kind = "image/svg+xml"
    if not kind:
        raise LookError(
            f"[site] logo: expected a PNG, SVG, JPEG or WebP picture, found something else in {path}"
            ' (an SVG is whole XML with xmlns="http://www.w3.org/2000/svg"); save it anew, or set logo = ""'
        )
    return Served(data, kind)


def style(ours: bytes, colour: str, colour_dark: str) -> Served:
    """Return our style sheet with a site's accents behind it, each "#rrggbb" or empty."""
    both = accents(colour, colour_dark)
    rules = f":root {{ {_accent(both.light)} }}\n" if colour else ""
    rules += f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {_accent(both.dark)} }} }}\n"
    return Served(ours + rules.encode(), "text/css; charset=utf-8")


def help_texts(path: Path) -> dict[str, Markup]:
    """Return the text at *path* as HTML under "", and those beside it in other languages: help.de.md for help.md."""
    texts = {"": path} | {
        name: other for name in language.available() if (other := path.with_suffix(f".{name}{path.suffix}")).exists()
    }
    return {
        name: marked_text.html(_text(_read(file, "[site] help_text", HELP_BYTES), file)) for name, file in texts.items()
    }


def _accent(one: Accent) -> str:
    return f"--brand: {one.colour}; --brand-ink: {one.ink}; --tint: {one.tint}; --seal: {one.ink};"


def _read(path: Path, what: str, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise LookError(
            f"{what}: can't read {path} ({error.strerror}); put the file there and let messenger-reader read it"
        ) from error
    if len(data) > limit:
        raise LookError(f"{what}: expected at most {limit // 1024} KB, found more in {path}; make it smaller")
    return data


def _text(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LookError(f"[site] help_text: expected UTF-8, found other bytes in {path}; save it as UTF-8") from error


def _is_svg(data: bytes) -> bool:
    roots: list[str] = []
    parser = expat.ParserCreate(namespace_separator=" ")

    def begins(name: str, _attributes: object) -> None:
        if not roots:
            roots.append(name)

    parser.StartElementHandler = begins
    try:
        parser.Parse(data, True)
    except expat.ExpatError:
        return False
    return roots == [_SVG]
