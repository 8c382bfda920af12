"""Take the addresses out of To, Cc, From (RFC 5322, 3.4), and refuse what is not clearly one.

A wrong guess here delivers somebody's protected mail to somebody else: nothing is repaired, nothing passed over.
"""

from ..envelope import AddressError, normal
from .refused import Refused

MAX_FIELD = 256 * 1024
MAX_ADDRESSES = 1000


def addresses(value: bytes) -> list[str]:
    """All mailboxes of an address list, in the canonical form."""
    if len(value) > MAX_FIELD:
        raise Refused("limit", f"an address field of {len(value)} bytes")
    found = [canonical(spec) for spec in _specs(text(value))]
    if len(found) > MAX_ADDRESSES:
        raise Refused("limit", f"{len(found)} addresses in one field")
    return found


def canonical(spec: str) -> str:
    try:
        return normal(spec)
    except AddressError as error:
        raise Refused("addresses", f"a bad address: {error}") from error


def text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("addresses", "a field of addresses is not UTF-8") from error


def _specs(value: str) -> list[str]:
    """The addr-specs: what is between angle brackets, or stands alone between commas. One pass, no recursion."""
    found: list[str] = []
    words: list[str] = []
    angle = closed = group = False
    place, end = 0, len(value)
    while place < end:
        char = value[place]
        after = place + 1
        if char in '"[':
            after = _closing(value, place, '"' if char == '"' else "]")
            words.append(value[place:after])
        elif char == "(":
            after = _comment_end(value, place)
        elif char == "<" and not angle and not closed:
            angle, words = True, []
        elif char == ">" and angle:
            found.append("".join(words).strip())
            angle, closed, words = False, True, []
        elif char == ":" and not angle and not group:
            group, words = True, []
        elif (char == "," or (char == ";" and group)) and not angle:
            found += _alone(words, closed)
            closed, words = False, []
            group = group and char == ","
        else:
            words.append(char)
        place = after
    if angle or group:
        raise Refused("addresses", "an address list ends within an address or a group")
    return found + _alone(words, closed)


def _alone(words: list[str], closed: bool) -> list[str]:
    spec = "".join(words).strip()
    if closed and spec:
        raise Refused("addresses", "text after an address in angle brackets")
    return [spec] if spec else []


def _closing(value: str, place: int, mark: str) -> int:
    """The place after the quoted string or domain literal that begins at *place*."""
    after = place + 1
    while after < len(value) and value[after] != mark:
        after += 2 if value[after] == "\\" else 1
    if after >= len(value):
        raise Refused("addresses", "an address list ends within quotes or brackets")
    return after + 1


def _comment_end(value: str, place: int) -> int:
    depth, after = 0, place
    while after < len(value):
        char = value[after]
        depth += (char == "(") - (char == ")")
        after += 2 if char == "\\" else 1
        if not depth:
            return after
    raise Refused("addresses", "an address list ends within a comment")
