"""PDFs for tests, put together by hand: whole ones, and ones that cost whoever draws them."""

import zlib


def document(*bodies: bytes) -> bytes:
    """The objects of a PDF, the first its catalogue, with the table that says where they are."""
    out, places = b"%PDF-1.7\n", []
    for number, body in enumerate(bodies, 1):
        places.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(bodies) + 1
    return out + b"xref\n0 %d\n0000000000 65535 f \n%strailer<</Root 1 0 R/Size %d>>\nstartxref\n%d\n%%%%EOF" % (
        size,
        table,
        size,
        len(out),
    )


def stream(content: bytes, about: bytes = b"") -> bytes:
    return b"<<%s/Length %d>>\nstream\n" % (about, len(content)) + content + b"\nendstream"


def pages(*texts: str) -> bytes:
    """A page for each of *texts*."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * at) for at in range(len(texts)))
    made = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, len(texts)),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for at, text in enumerate(texts):
        shown = b"BT /F 36 Tf 60 700 Td (%s) Tj ET" % text.encode("latin-1")
        made.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F 3 0 R>>>>/Contents %d 0 R>>"
            % (5 + 2 * at)
        )
        made.append(stream(shown))
    return document(*made)


def one_page(content: bytes, resources: bytes = b"", *more: bytes) -> bytes:
    return document(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Resources<<%s>>/Contents 4 0 R>>" % resources,
        content,
        *more,
    )


def unpacks_without_end() -> bytes:
    lines = zlib.compress(b"0 0 m 9 9 l S " * 5_000_000, 1)
    return one_page(stream(zlib.compress(lines, 9), b"/Filter[/FlateDecode/FlateDecode]"))


def draws_itself() -> bytes:
    form = b"/Type/XObject/Subtype/Form/BBox[0 0 600 800]/Resources<</XObject<</X 5 0 R>>>>"
    return one_page(stream(b"/X Do"), b"/XObject<</X 5 0 R>>", stream(b"/X Do /X Do", form))


def tiles_without_end() -> bytes:
    tile = b"/Type/Pattern/PatternType 1/PaintType 1/TilingType 1/BBox[0 0 1 1]/XStep 0.001/YStep 0.001/Resources<<>>"
    page = stream(b"/Pattern cs /P scn 0 0 600 800 re f")
    return one_page(page, b"/Pattern<</P 5 0 R>>", stream(b"0 0 1 1 re f", tile))


def huge_picture() -> bytes:
    """Sixty thousand pixels each way, in a few kilobytes."""
    about = b"/Type/XObject/Subtype/Image/Width 60000/Height 60000/ColorSpace/DeviceRGB/BitsPerComponent 8"
    picture = stream(zlib.compress(bytes(20_000_000), 1), about + b"/Filter/FlateDecode")
    return one_page(stream(b"600 0 0 800 0 0 cm /X Do"), b"/XObject<</X 5 0 R>>", picture)


def filled_in() -> bytes:
    """A form whose one field, black all over, covers the lower half of the page."""
    looks = stream(b"0 0 0 rg 0 0 300 150 re f", b"/Type/XObject/Subtype/Form/BBox[0 0 300 150]/Resources<<>>")
    return document(
        b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R]>>>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R/Annots[5 0 R]>>",
        stream(b""),
        b"<</Type/Annot/Subtype/Widget/FT/Tx/T(a)/V(Hello)/Rect[0 0 300 150]/F 4/AP<</N 6 0 R>>/P 3 0 R>>",
        looks,
    )


def with_script() -> bytes:
    return document(
        b"<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(app.alert\\(1\\))>>>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]>>",
    )
