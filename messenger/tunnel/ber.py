"""Walk through BER (X.690) once, forwards, within bounds.

Takes bytes, gives slices of them. Knows tags and lengths; what they mean is known to those who call. Refuses what
an honest writer never makes: too many elements for the size, nesting beyond what CMS needs, lengths that lie.
"""

from .refused import malformed

Octets = bytes | bytearray | memoryview

SEQUENCE = 0x30
SET = 0x31
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
NULL = 0x05
OID = 0x06
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
CONSTRUCTED = 0x20

#: A streaming writer sends segments of 256 bytes and more; one element for 32 bytes is far from honest mail.
FREE_ELEMENTS = 4096
BYTES_PER_ELEMENT = 32
MAX_DEPTH = 24
MAX_OID = 32
MAX_SMALL = 65536

_INDEFINITE = -1


class Reader:
    """A place in BER data. Each method takes the element at that place and moves on; none looks back."""

    __slots__ = ("_marked", "_stack", "data", "end", "left", "pos", "view")

    def __init__(self, data: bytes | bytearray, pos: int = 0, end: int | None = None) -> None:
        self.data = data
        self.view = memoryview(data)
        self.pos = pos
        self.end = len(data) if end is None else end
        self.left = FREE_ELEMENTS + (self.end - pos) // BYTES_PER_ELEMENT
        #: Does a mark end the present element? And of those around it: where each ends, and whether by a mark.
        self._marked = False
        self._stack: list[tuple[int, bool]] = []

    def header(self) -> tuple[int, int]:
        """Pass over tag and length; give both. The length is -1 where the end is marked instead."""
        pos, data, end = self.pos, self.data, self.end
        self.left -= 1
        if self.left < 0:
            raise malformed("BER: too many elements for the size of the mail")
        if pos + 2 > end:
            raise malformed("BER: ends within an element")
        tag, length = data[pos], data[pos + 1]
        if tag & 0x1F == 0x1F:
            raise malformed("BER: a tag number above 30, none is expected")
        pos += 2
        if length >= 0x80:
            if length == 0x80:
                if not tag & CONSTRUCTED:
                    raise malformed("BER: a primitive element without length")
                self.pos = pos
                return tag, _INDEFINITE
            octets = length & 0x7F
            if octets > 8 or pos + octets > end:
                raise malformed(f"BER: a length of {octets} octets")
            length = int.from_bytes(data[pos : pos + octets], "big")
            pos += octets
        if pos + length > end:
            raise malformed("BER: an element is longer than what holds it")
        self.pos = pos
        return tag, length

    def _length_of(self, tag: int) -> int:
        """Pass over the header of an element that must have *tag*; give its length."""
        pos, data = self.pos + 2, self.data
        # By far the most: a tag as expected, a length in one octet. All else goes the long way.
        if pos <= self.end and data[pos - 2] == tag and self.left > 0:
            length = data[pos - 1]
            if length < 0x80 and pos + length <= self.end:
                self.left -= 1
                self.pos = pos
                return length
        found, length = self.header()
        if found != tag:
            raise malformed(f"BER: expected tag {tag:#04x}, found {found:#04x}")
        return length

    def peek(self) -> int:
        """The tag that comes next, or -1 where the present element ends."""
        if self._marked:
            return -1 if self._at_end_mark() else self.data[self.pos]
        return self.data[self.pos] if self.pos < self.end else -1

    def more(self) -> bool:
        """Is there another element within the present one?"""
        return not self._at_end_mark() if self._marked else self.pos < self.end

    def enter(self, tag: int) -> None:
        """Step into a constructed element."""
        length = self._length_of(tag)
        if len(self._stack) >= MAX_DEPTH:
            raise malformed("BER: nested too deep")
        self._stack.append((self.end, self._marked))
        self._marked = length == _INDEFINITE
        if not self._marked:
            self.end = self.pos + length

    def leave(self) -> None:
        """Step out of it. What was not read of it is an error: nothing unknown is passed over in silence."""
        if self._marked:
            if not self._at_end_mark():
                raise malformed("BER: more in an element than belongs there")
            self.pos += 2
        elif self.pos != self.end:
            raise malformed("BER: more in an element than belongs there")
        self.end, self._marked = self._stack.pop()

    def skip(self) -> None:
        """Pass over one element, whatever is in it."""
        _, length = self.header()
        if length != _INDEFINITE:
            self.pos += length
            return
        open_marks = 1
        while open_marks:
            if self._at_end_mark():
                self.pos += 2
                open_marks -= 1
                continue
            _, length = self.header()
            if length != _INDEFINITE:
                self.pos += length
            elif open_marks < MAX_DEPTH:
                open_marks += 1
            else:
                raise malformed("BER: nested too deep")

    def element(self, limit: int = MAX_SMALL) -> bytes:
        """The whole next element, tag and length included."""
        start = self.pos
        self.skip()
        if self.pos - start > limit:
            raise malformed(f"BER: an element of {self.pos - start} bytes where {limit} are plenty")
        return bytes(self.data[start : self.pos])

    def primitive(self, tag: int, limit: int = MAX_SMALL) -> bytes:
        """The content of a primitive element."""
        length = self._length_of(tag)
        if length > limit:
            raise malformed(f"BER: an element of {length} bytes where {limit} are plenty")
        start = self.pos
        self.pos = end = start + length
        return bytes(self.data[start:end])

    def oid(self) -> bytes:
        """The content octets of an OBJECT IDENTIFIER; they compare as they stand."""
        return self.primitive(OID, MAX_OID)

    def algorithm(self) -> tuple[bytes, bytes]:
        """An AlgorithmIdentifier: the OID, and its parameters as an element (empty when absent)."""
        self.enter(SEQUENCE)
        oid = self.oid()
        parameters = self.element() if self.more() else b""
        self.leave()
        return oid, parameters

    def octets(self, tag: int = OCTET_STRING, limit: int | None = None) -> Octets:
        """The content of an OCTET STRING, primitive or in segments, under its own or an implicit *tag*."""
        segments = self.segments(tag)
        content = segments[0] if len(segments) == 1 else b"".join(segments)
        if limit is not None and len(content) > limit:
            raise malformed(f"BER: an octet string of {len(content)} bytes where {limit} are plenty")
        return content

    def segments(self, tag: int = OCTET_STRING) -> list[memoryview]:
        """The same, each segment where it lies."""
        found, length = self.header()
        if found == tag:
            self.pos += length
            return [self.view[self.pos - length : self.pos]]
        if found != tag | CONSTRUCTED:
            raise malformed(f"BER: expected an octet string {tag:#04x}, found {found:#04x}")
        return self._segments(self.pos + length if length >= 0 else _INDEFINITE)

    def _segments(self, end: int) -> list[memoryview]:
        """The segments of a constructed octet string that ends at *end* or, -1, at its mark."""
        segments: list[memoryview] = []
        levels: list[int] = []
        while True:
            segments.extend(self._run(self.end if end == _INDEFINITE else end))
            if self._at_end_mark() if end == _INDEFINITE else self.pos == end:
                self.pos += 2 if end == _INDEFINITE else 0
                if not levels:
                    return segments
                end = levels.pop()
                continue
            tag, length = self.header()
            if end != _INDEFINITE and self.pos + max(length, 0) > end:
                raise malformed("BER: a segment is longer than what holds it")
            if tag == OCTET_STRING:
                segments.append(self.view[self.pos : self.pos + length])
                self.pos += length
            elif tag == OCTET_STRING | CONSTRUCTED and len(levels) < MAX_DEPTH:
                levels.append(end)
                end = _INDEFINITE if length == _INDEFINITE else self.pos + length
            else:
                raise malformed(f"BER: {tag:#04x} within an octet string")

    def _run(self, end: int) -> list[memoryview]:
        """Segments that all have the header of the next one: what a streaming writer sends, taken quickly."""
        data, view, pos = self.data, self.view, self.pos
        if pos + 2 > end or data[pos] != OCTET_STRING:
            return []
        size = 2 + (data[pos + 1] & 0x7F if data[pos + 1] > 0x80 else 0)
        head = bytes(view[pos : pos + size])
        step = size + (int.from_bytes(head[2:], "big") if size > 2 else head[1])
        if not 2 <= size <= 10 or head[1] == 0x80:
            return []
        segments: list[memoryview] = []
        left, last = self.left, end - step
        while pos <= last and data.startswith(head, pos):
            segments.append(view[pos + size : pos + step])
            pos += step
            if len(segments) > left:
                raise malformed("BER: too many elements for the size of the mail")
        self.left -= len(segments)
        self.pos = pos
        return segments

    def _at_end_mark(self) -> bool:
        pos = self.pos
        if pos + 2 > self.end:
            raise malformed("BER: ends within an element")
        return self.data[pos] == 0 and self.data[pos + 1] == 0
