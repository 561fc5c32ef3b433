"""PDFs that are small and take a decoder long, or much memory."""

import io
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

ZEROS = 4 * 10**7  # bytes of zeros that are deflated, where a bomb inflates


def pdf(*objects: bytes, content: bytes = b"", resources: bytes = b"", page: bytes = b"") -> bytes:
    """A PDF of one page. Objects 1 to 4 are catalog, pages, page and content; those given are 5,
    6 and so on, each without `N 0 obj` around."""
    first = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 400 400]/Contents 4 0 R/Resources<<%b>>%b>>"
        % (resources, page),
        stream(content),
    ]
    return assembled([*first, *objects])


def assembled(objects: list[bytes]) -> bytes:
    out = bytearray(b"%PDF-1.7\n")
    at = []
    for number, one in enumerate(objects, 1):
        at.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, one)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(at) + 1)
    out += b"".join(b"%010d 00000 n \n" % one for one in at)
    out += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(at) + 1, start)
    return bytes(out)


def stream(data: bytes, entries: bytes = b"") -> bytes:
    return b"<<%b/Length %d>>stream\n%b\nendstream" % (entries, len(data), data)


def form(content: bytes, resources: bytes) -> bytes:
    return stream(
        content, b"/Type/XObject/Subtype/Form/BBox[0 0 400 400]/Resources<<%b>>" % resources
    )


def deflated(times: int, size: int) -> bytes:
    """So many zeros (a multiple of 10^6), deflated so many times, without holding them all."""
    squeeze = zlib.compressobj(9)
    piece = bytes(10**6)
    first = squeeze.compress(piece) + squeeze.flush(zlib.Z_FULL_FLUSH)
    more = squeeze.compress(piece) + squeeze.flush(zlib.Z_FULL_FLUSH)  # the same each time
    body = first + more * (size // 10**6 - 1) + squeeze.flush()[:-4]
    data = body + ((size % 65_521) << 16 | 1).to_bytes(4, "big")  # Adler-32 of zeros
    for _ in range(times - 1):
        data = zlib.compress(data, 9)
    return data


def nested_forms(levels: int, each: int) -> bytes:
    """Each form draws the next one so many times."""
    forms = [
        form(b"/F Do " * each, b"/XObject<</F %d 0 R>>" % (6 + level)) for level in range(levels)
    ]
    return pdf(
        *forms,
        form(b"0 0 9 9 re f", b""),
        content=b"/F Do " * each,
        resources=b"/XObject<</F 5 0 R>>",
    )


def image(entries: bytes, data: bytes) -> bytes:
    """A page that draws one image."""
    return pdf(
        stream(data, b"/Type/XObject/Subtype/Image" + entries),
        content=b"400 0 0 400 0 0 cm /I Do",
        resources=b"/XObject<</I 5 0 R>>",
    )


def images(entries: bytes, data: bytes, times: int) -> bytes:
    """A page that draws an image again and again, each time at another size."""
    drawn = b"".join(b"q %d 0 0 400 0 0 cm /I Do Q " % (400 - at % 300) for at in range(times))
    return pdf(
        stream(data, b"/Type/XObject/Subtype/Image" + entries),
        content=drawn,
        resources=b"/XObject<</I 5 0 R>>",
    )


def bombs() -> Iterator[tuple[str, bytes]]:
    """Name and file of each."""
    yield "PDF forms 40^8", nested_forms(8, 40)
    yield "PDF forms 10^14", nested_forms(14, 10)
    yield "PDF forms 3000^3", nested_forms(3, 3000)
    yield "PDF form that draws itself and others", nested_forms(25, 4)
    huge = deflated(2, 800 * 10**6)
    flate = b"/Filter[/FlateDecode/FlateDecode]"
    yield "PDF flate in flate, 800 MB", pdf(stream(huge, flate), page=b"/Contents 5 0 R")
    huge = deflated(3, 4400 * 10**6)
    flate = b"/Filter[/FlateDecode/FlateDecode/FlateDecode]"
    yield "PDF flate three times, 4.4 GB", pdf(stream(huge, flate), page=b"/Contents 5 0 R")
    gray = b"/Width %d/Height %d/BitsPerComponent 8/ColorSpace/DeviceGray/Filter%b"
    zeros = deflated(1, ZEROS)
    yield "PDF image 60000x60000", images(gray % (60000, 60000, b"/FlateDecode"), zeros, 50)
    rgb = b"/Width 30000/Height 30000/BitsPerComponent 8/ColorSpace/DeviceRGB/Filter/FlateDecode"
    yield "PDF image 30000x30000 RGB", images(rgb, zeros, 50)
    twice = b"[/FlateDecode/FlateDecode]"
    yield (
        "PDF image 25000x25000, flate in flate",
        images(gray % (25000, 25000, twice), deflated(2, 625 * 10**6), 50),
    )
    run = zlib.compress(b"\x81\0" * 10**7, 9)
    lengths = gray % (40000, 40000, b"[/FlateDecode/RunLengthDecode]")
    yield "PDF image by run lengths in flate", images(lengths, run, 300)
    ccitt = b"/Width 60000/Height 60000/BitsPerComponent 1/ColorSpace/DeviceGray/Filter"
    ccitt += b"/CCITTFaxDecode/DecodeParms<</K -1/Columns 60000/Rows 60000>>"
    yield "PDF CCITT 60000x60000", images(ccitt, b"\xff" * 60000, 50)
    jbig2 = b"/Width 50000/Height 50000/BitsPerComponent 1/ColorSpace/DeviceGray/Filter/JBIG2Decode"
    # A page information segment, then a generic region of the same size (ITU-T T.88, 7.2).
    side = (50000).to_bytes(4, "big")
    page = b"\0\0\0\0\x30\0\x01\0\0\0\x13" + side + side + bytes(8) + b"\0\0\0"
    region = b"\0\0\0\x01\x26\0\x01\0\0\x10\0" + side + side + bytes(8) + b"\0" + b"\0"
    region += bytes.fromhex("03fffdff02fefefe") + bytes(4060)
    yield "PDF JBIG2 50000x50000", image(jbig2, page + region)
    yield (
        "PDF image drawn 3000 times",
        images(gray % (4000, 4000, b"/FlateDecode"), deflated(1, 16 * 10**6), 3000),
    )
    dashes = b"[0.001 0.001] 0 d 1 w " + b"".join(
        b"0 %d m 400 %d 900 %d 400 %d c S " % (y % 400, y % 400, -y, 400 - y) for y in range(60_000)
    )
    dashes = stream(zlib.compress(dashes, 9), b"/Filter/FlateDecode")
    yield "PDF dashes of a thousandth", pdf(dashes, page=b"/Contents 5 0 R")
    curves = zlib.compress(b"0 0 m 9 400 400 9 400 400 c 400 0 9 9 0 400 c B " * 400_000, 9)
    yield (
        "PDF 800,000 curves",
        pdf(stream(curves, b"/Filter/FlateDecode"), page=b"/Contents 5 0 R"),
    )
    clips = zlib.compress(b"0 0 m 400 9 9 400 400 400 c W n q 1 0 0 1 .1 .1 cm " * 300_000, 9)
    yield "PDF 300,000 clips", pdf(stream(clips, b"/Filter/FlateDecode"), page=b"/Contents 5 0 R")
    tile = stream(
        b"/P Do " * 50,
        b"/Type/Pattern/PatternType 1/PaintType 1/TilingType 1/BBox[0 0 1 1]/XStep .01/YStep .01"
        b"/Resources<</XObject<</P 6 0 R>>>>",
    )
    yield (
        "PDF tiling of a hundredth",
        pdf(
            tile,
            form(b"0 0 9 9 re f " * 5000, b""),
            content=b"/Pattern cs /T scn 0 0 400 400 re f",
            resources=b"/Pattern<</T 5 0 R>>",
        ),
    )
    loop = b"{" + b"dup mul sqrt 1 add " * 20_000 + b"}"
    shade = b"<</ShadingType 1/ColorSpace/DeviceGray/Domain[0 1 0 1]/Matrix[400 0 0 400 0 0]"
    yield (
        "PDF shading by a long function",
        pdf(
            shade + b"/Function 6 0 R>>",
            stream(loop, b"/FunctionType 4/Domain[0 1 0 1]/Range[0 1]"),
            content=b"/S sh " * 50,
            resources=b"/Shading<</S 5 0 R>>",
        ),
    )
    masked = [
        form(
            b"/G gs /F Do " * 3,
            b"/XObject<</F %d 0 R>>/ExtGState<</G<</SMask<</S/Luminosity/G %d 0 R>>>>>>"
            % (6 + level, 6 + level),
        )
        for level in range(14)
    ]
    yield (
        "PDF soft masks 6^14",
        pdf(
            *masked,
            form(b"0 0 400 400 re f", b""),
            content=b"/F Do",
            resources=b"/XObject<</F 5 0 R>>",
        ),
    )
    glyph = stream(b"1000 0 d0 BT /T 1 Tf (aaaaaaaaaaaa) Tj ET")
    font = (
        b"<</Type/Font/Subtype/Type3/FontBBox[0 0 9 9]/FontMatrix[1 0 0 1 0 0]"
        b"/CharProcs<</a 6 0 R>>"
        b"/Encoding<</Type/Encoding/Differences[97/a]>>/FirstChar 97/LastChar 97/Widths[1]"
        b"/Resources<</Font<</T 5 0 R>>>>>>"
    )
    yield (
        "PDF glyphs that write glyphs",
        pdf(
            font,
            glyph,
            content=b"BT /T 9 Tf " + b"(aaaaaaaaaaaaaaaaaaaa) Tj " * 200 + b"ET",
            resources=b"/Font<</T 5 0 R>>",
        ),
    )
    helvetica = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
    letters = zlib.compress(b"(" + b"x" * 10**6 + b") Tj " * 100, 9)
    text = stream(b"BT /T 9 Tf 1 0 0 1 9 9 Tm ") + b""
    yield (
        "PDF 30 million letters",
        pdf(
            helvetica,
            text,
            stream(letters, b"/Filter/FlateDecode"),
            resources=b"/Font<</T 5 0 R>>",
            page=b"/Contents[6 0 R 7 0 R]",
        ),
    )
    many = b"".join(b"3 0 R " for _ in range(300_000))
    yield (
        "PDF 300,000 pages",
        assembled(
            [
                b"<</Type/Catalog/Pages 2 0 R>>",
                b"<</Type/Pages/Kids[%b]/Count 300000>>" % many,
                b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>",
            ]
        ),
    )
    yield (
        "PDF pages that hold themselves",
        assembled(
            [
                b"<</Type/Catalog/Pages 2 0 R>>",
                b"<</Type/Pages/Kids[2 0 R 2 0 R 2 0 R 3 0 R]/Count 1000000>>",
                b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>",
            ]
        ),
    )
    yield "PDF arrays 100,000 deep", pdf(content=b"[" * 100_000 + b"] 0 d")
    notes = b"".join(
        b"<</Type/Annot/Subtype/Square/Rect[0 0 400 400]/AP<</N 5 0 R>>>>" for _ in range(20_000)
    )
    yield (
        "PDF 20,000 notes that draw",
        pdf(form(b"0 0 9 9 re f " * 2000, b""), page=b"/Annots[%b]" % notes),
    )
    yield from _more_bombs()


def _more_bombs() -> Iterator[tuple[str, bytes]]:
    yield "PDF forms 2^60", nested_forms(60, 2)
    twice, huge = b"/Filter[/FlateDecode/FlateDecode]", deflated(2, 800 * 10**6)
    font = (
        b"<</Type/Font/Subtype/TrueType/BaseFont/A/FirstChar 97/LastChar 97/Widths[9]"
        b"/FontDescriptor<</Type/FontDescriptor/FontName/A/Flags 4/FontFile2 6 0 R>>>>"
    )
    yield (
        "PDF font of 800 MB",
        pdf(
            font,
            stream(huge, twice),
            content=b"BT /A 9 Tf (a) Tj ET",
            resources=b"/Font<</A 5 0 R>>",
        ),
    )
    yield (
        "PDF colour profile of 800 MB",
        pdf(
            stream(huge, b"/N 3" + twice),
            content=b"/C cs 1 0 0 sc 0 0 9 9 re f",
            resources=b"/ColorSpace<</C[/ICCBased 5 0 R]>>",
        ),
    )
    yield (
        "PDF function of 800 MB",
        pdf(
            b"<</ShadingType 1/ColorSpace/DeviceGray/Domain[0 1 0 1]/Function 6 0 R>>",
            stream(
                huge,
                b"/FunctionType 0/Domain[0 1 0 1]/Range[0 1]/Size[28000 28000]/BitsPerSample 8"
                + twice,
            ),
            content=b"/S sh",
            resources=b"/Shading<</S 5 0 R>>",
        ),
    )
    objects = stream(huge, b"/Type/ObjStm/N 100000000/First 900000" + twice)
    yield "PDF objects of 800 MB", pdf(objects, page=b"/Annots 9 0 R")
    out = io.BytesIO()
    Image.new("RGB", (4000, 4000), "gray").save(out, "JPEG", progressive=True)
    jpeg = out.getvalue()
    last = jpeg.rfind(b"\xff\xda")
    jpeg = jpeg[:last] + jpeg[last:-2] * 2000 + b"\xff\xd9"
    dct = b"/Width 4000/Height 4000/BitsPerComponent 8/ColorSpace/DeviceRGB/Filter"
    yield (
        "PDF progressive JPEG of 2,000 scans",
        image(dct + b"[/FlateDecode/DCTDecode]", zlib.compress(jpeg, 9)),
    )
    out = io.BytesIO()
    Image.new("RGB", (3000, 3000), "gray").save(out, "JPEG2000")
    jpx = b"/Width 3000/Height 3000/Filter"
    yield "PDF JPEG 2000 drawn 3,000 times", images(jpx + b"/JPXDecode", out.getvalue(), 3000)
    vertices = zlib.compress(
        b"".join(struct.pack(">HHB", x * 99 % 65_536, x * 7, x % 256) for x in range(4000)) * 500, 9
    )
    mesh = stream(
        vertices,
        b"/ShadingType 5/ColorSpace/DeviceGray/BitsPerCoordinate 16/BitsPerComponent 8"
        b"/VerticesPerRow 1000/Decode[0 400 0 400 0 1]/Filter/FlateDecode",
    )
    yield (
        "PDF mesh of 2,000,000 triangles",
        pdf(mesh, content=b"/S sh " * 20, resources=b"/Shading<</S 5 0 R>>"),
    )
    shown = form(b"BT /A 9 Tf 1 0 0 1 9 9 Tm " + b"(abcdefghij) Tj " * 2000 + b"ET", b"")
    yield (
        "PDF 100 million letters",
        pdf(
            shown,
            b"<</Type/Font/Subtype/Type1/BaseFont/Times-Roman>>",
            content=b"/F Do " * 5000,
            resources=b"/XObject<</F 5 0 R>>/Font<</A 6 0 R>>",
        ),
    )
    lines = zlib.compress(b"[0.0001] 0 d .1 w " + b"0 0 m 400 400 l S " * 500_000, 9)
    yield (
        "PDF 500,000 lines of dots",
        pdf(stream(lines, b"/Filter/FlateDecode"), page=b"/Contents 5 0 R"),
    )
    stroked = zlib.compress(b"9 w 1 j 1 J 0 0 m 400 9 9 400 400 400 c S " * 1_000_000, 9)
    yield (
        "PDF 1,000,000 broad strokes",
        pdf(stream(stroked, b"/Filter/FlateDecode"), page=b"/Contents 5 0 R"),
    )
