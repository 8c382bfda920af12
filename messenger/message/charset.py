"""Bytes to text, whatever a mail claims them to be.

Names are read as browsers read them (iso-8859-1 means windows-1252, gb2312 means gb18030), because that is what
senders tested with. Only charsets on the list below are ever decoded: UTF-7 and Python's own codecs
(unicode_escape, punycode, ...) turn harmless bytes into markup.
"""

from __future__ import annotations

import codecs
import re

#: Python codec names, as codecs.lookup() gives them.
KNOWN = frozenset(
    """ascii utf-8 utf-16 utf-16-le utf-16-be utf-32 utf-32-le utf-32-be
    cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 cp437 cp850 cp852 cp855 cp858 cp866 cp874
    iso8859-2 iso8859-3 iso8859-4 iso8859-5 iso8859-6 iso8859-7 iso8859-8 iso8859-10 iso8859-13 iso8859-14
    iso8859-15 iso8859-16 koi8-r koi8-u kz1048 mac-roman mac-cyrillic
    cp932 euc_jp iso2022_jp iso2022_jp_1 iso2022_jp_2 iso2022_jp_3 iso2022_jp_ext cp949 johab iso2022_kr
    gb18030 hz big5 big5hkscs shift_jis_2004 euc_jis_2004 iso2022_jp_2004 mac-latin2 mac-greek mac-turkish
    ptcp154""".split()  # noqa: SIM905 (a list people can read)
)
#: The name a mail uses, or the codec that Python has for it, to the one it means.
MEANT = {
    "ascii": "cp1252",
    "us-ascii": "cp1252",
    "ansi_x3.4-1968": "cp1252",
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "windows-874": "cp874",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-6-i": "iso8859-6",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "gb_2312-80": "gb18030",
    "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "iso-2022-jp": "iso2022_jp_ext",
    "x-unknown": "",
    "unknown-8bit": "",
    "8bit": "",
    "utf8mb4": "utf-8",
    "macintosh": "mac-roman",
    "cp-850": "cp850",
    "big5-hkscs": "big5hkscs",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "euc_kr": "cp949",
    "iso2022_jp": "iso2022_jp_ext",
    "iso-2022-jp-ms": "iso2022_jp_ext",
    "cp50220": "iso2022_jp_ext",
    "cp50221": "iso2022_jp_ext",
    "eucjp-ms": "euc_jp",
    "cp51932": "euc_jp",
    "x-euc-jp": "euc_jp",
    "x-windows-949": "cp949",
    "windows-949": "cp949",
    "windows-936": "gb18030",
    "x-big5": "big5",
    "x-mac-roman": "mac-roman",
    "x-mac-cyrillic": "mac-cyrillic",
    "x-mac-ce": "mac-latin2",
    "unicode-1-1-utf-8": "utf-8",
    "utf-8-sig": "utf-8",
    "iso-10646-ucs-2": "utf-16",
    "ucs-2": "utf-16",
}


def codec_of(name: str) -> str | None:
    """Return the Python codec a mail's charset name stands for, or None for one we don't decode."""
    # Some write the next parameter into this one.
    name = re.split(r"[\s;,]", name.strip().strip("\"'"), maxsplit=1)[0].lower()
    name = MEANT.get(name, name)
    if not name.isascii() or not 0 < len(name) <= 40 or "\0" in name:
        return None
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    found = MEANT.get(found, found)
    return found if found in KNOWN else None


def decode(raw: bytes, name: str = "") -> tuple[str, str]:
    """Return the text and what was wrong: "", "unknown-charset" or "bad-encoding". Never raises."""
    codec = codec_of(name)
    named = name.strip() != ""
    if codec is None or (codec == "cp1252" and not raw.isascii()):
        # Undeclared or Latin by name: valid UTF-8 with bytes above 127 is hardly ever anything else.
        try:
            return raw.decode("utf-8"), "unknown-charset" if named and codec is None else ""
        except UnicodeDecodeError:
            text = _tolerant(raw, "cp1252")
        return text, "unknown-charset" if codec is None else ""
    try:
        return raw.decode(codec), ""
    except UnicodeError as error:
        return _otherwise(raw, codec, error), "bad-encoding"


def _otherwise(raw: bytes, codec: str, error: UnicodeError) -> str:
    """Text that isn't in the charset it claims: in the one it is in, if that is plain to see."""
    if codec == "utf-8":
        # Not a single character of UTF-8 in it, whole or cut off: from a program that only says so.
        latin = "unexpected end" not in str(error) and raw.decode("utf-8", "ignore").isascii()
        return _tolerant(raw, "cp1252" if latin else codec)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return _tolerant(raw, codec)


def _tolerant(raw: bytes, codec: str) -> str:
    try:
        return raw.decode(codec, "replace")
    except (UnicodeError, ValueError, RuntimeError):  # some multibyte codecs give up in spite of "replace"
        return raw.decode("latin-1")
