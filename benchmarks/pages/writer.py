"""A small PDF writer that can lie: what a glyph claims to be is set apart from what it shows."""

import io
import logging
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from fontTools import subset  # type: ignore[import-untyped]
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]
from PIL import Image

logging.getLogger("fontTools").setLevel(logging.ERROR)

Claims = Callable[[str], str]
SIZE = (595, 842)  # A4, points


def truthful(char: str) -> str:
    """A character that claims to be itself."""
    return char


@dataclass(frozen=True, slots=True)
class Face:
    """An embedded TrueType font, cut to the characters it draws.

    ids, widths: glyph numbers and advance widths (1/1000 of the size) by character.
    """

    name: str
    data: bytes
    ids: dict[str, int]
    widths: dict[str, float]

    @classmethod
    def of(cls, path: Path, text: str) -> "Face":
        """The face with the glyphs of a text's characters.

        Raises:
            KeyError: the font has no glyph for one of them.
        """
        font = TTFont(path, fontNumber=0)
        options = subset.Options(glyph_names=False, notdef_outline=True, layout_features=[])
        cutter = subset.Subsetter(options)
        cutter.populate(text=text)
        cutter.subset(font)
        table = font.getBestCmap()
        scale = 1000 / font["head"].unitsPerEm
        names = {char: table[ord(char)] for char in set(text)}
        ids = {char: font.getGlyphID(name) for char, name in names.items()}
        widths = {char: font["hmtx"][name][0] * scale for char, name in names.items()}
        out = io.BytesIO()
        font.save(out)
        return cls(path.stem, out.getvalue(), ids, widths)


@cache
def face(path: Path, characters: str) -> Face:
    """`Face.of`, made once."""
    return Face.of(path, characters)


@dataclass(slots=True)
class Sheet:
    """One page. `marks` is its content stream; texts are drawn with faces, images by name."""

    size: tuple[int, int] = SIZE
    rotate: int = 0
    crop: tuple[float, float, float, float] | None = None
    marks: list[str] = field(default_factory=list)
    faces: list[tuple[Face, Claims]] = field(default_factory=list)
    images: list[Image.Image] = field(default_factory=list)
    # Dictionaries; {ap} stands for the appearance, {n} for its number alone.
    annotations: list[str] = field(default_factory=list)
    appearances: list[str] = field(default_factory=list)

    def text(
        self,
        x: float,
        y: float,
        said: str,
        face: Face,
        *,
        size: float = 12,
        claims: Claims = truthful,
        state: str = "0 g 0 Tr",
        matrix: str = "1 0 0 1",
    ) -> None:
        """A line of text; `state` holds operators that set how it is drawn."""
        if (face, claims) not in self.faces:
            self.faces.append((face, claims))
        number = self.faces.index((face, claims))
        glyphs = "".join(f"{face.ids[char]:04X}" for char in said)
        self.marks.append(
            f"q {state} BT /F{number} {size} Tf {matrix} {x} {y} Tm <{glyphs}> Tj ET Q"
        )

    def image(self, picture: Image.Image, box: tuple[float, float, float, float]) -> None:
        """A picture in a box: left, bottom, width, height."""
        self.images.append(picture)
        left, bottom, width, height = box
        name = f"/I{len(self.images) - 1}"
        self.marks.append(f"q {width} 0 0 {height} {left} {bottom} cm {name} Do Q")


class Writer:
    """Objects of a file, in order."""

    def __init__(self) -> None:
        self._objects: list[bytes] = []

    def add(self, body: str | bytes) -> int:
        self._objects.append(body.encode("latin-1") if isinstance(body, str) else body)
        return len(self._objects)

    def stream(self, data: bytes, head: str = "") -> int:
        packed = zlib.compress(data)
        return self.add(
            f"<<{head}/Filter/FlateDecode/Length {len(packed)}>>stream\n".encode("latin-1")
            + packed
            + b"\nendstream"
        )

    def finished(self, root: int) -> bytes:
        out = io.BytesIO(b"%PDF-1.5\n")
        out.seek(0, io.SEEK_END)
        places = []
        for number, body in enumerate(self._objects, 1):
            places.append(out.tell())
            out.write(b"%d 0 obj\n%b\nendobj\n" % (number, body))
        start = out.tell()
        table = "".join(f"{place:010} 00000 n \n" for place in places)
        out.write(f"xref\n0 {len(places) + 1}\n0000000000 65535 f \n{table}".encode())
        out.write(f"trailer<</Size {len(places) + 1}/Root {root} 0 R>>\n".encode())
        out.write(f"startxref\n{start}\n%%EOF".encode())
        return out.getvalue()


def written(sheets: Sequence[Sheet]) -> bytes:
    """The pages as one file."""
    writer = Writer()
    pages = writer.add("")
    kids = [_page(writer, sheet, pages) for sheet in sheets]
    listed = " ".join(f"{kid} 0 R" for kid in kids)
    writer._objects[pages - 1] = f"<</Type/Pages/Kids[{listed}]/Count {len(kids)}>>".encode()
    fields = " ".join(f"{one} 0 R" for one in _fields(writer))
    form = f"/AcroForm<</Fields[{fields}]>>" if fields else ""
    return writer.finished(writer.add(f"<</Type/Catalog/Pages {pages} 0 R{form}>>"))


def _fields(writer: Writer) -> list[int]:
    return [n for n, body in enumerate(writer._objects, 1) if b"/Subtype/Widget" in body]


def _page(writer: Writer, sheet: Sheet, parent: int) -> int:
    fonts = [_font(writer, face, claims) for face, claims in sheet.faces]
    images = [_image(writer, image) for image in sheet.images]
    listed = "".join(f"/F{n} {number} 0 R" for n, number in enumerate(fonts))
    pictures = "".join(f"/I{n} {number} 0 R" for n, number in enumerate(images))
    base = "/FB<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>"
    base += "/FZ<</Type/Font/Subtype/Type1/BaseFont/ZapfDingbats>>"
    resources = f"<</Font<<{base}{listed}>>/XObject<<{pictures}>>>>"
    drawn = [
        writer.stream(
            body.encode("latin-1"),
            f"/Type/XObject/Subtype/Form/BBox[0 0 400 60]/Resources{resources}",
        )
        for body in sheet.appearances
    ]
    notes = [
        writer.add(one.replace("{ap}", f"/AP<</N {number} 0 R>>").replace("{n}", f"{number} 0 R"))
        for one, number in zip(sheet.annotations, drawn, strict=True)
    ]
    content = writer.stream("\n".join(sheet.marks).encode("latin-1"))
    boxes = f"/MediaBox[0 0 {sheet.size[0]} {sheet.size[1]}]"
    if sheet.crop:
        boxes += f"/CropBox[{' '.join(map(str, sheet.crop))}]"
    annotations = " ".join(f"{one} 0 R" for one in notes)
    return writer.add(
        f"<</Type/Page/Parent {parent} 0 R{boxes}/Rotate {sheet.rotate}"
        f"/Contents {content} 0 R/Resources{resources}/Annots[{annotations}]>>"
    )


def _font(writer: Writer, face: Face, claims: Claims) -> int:
    data = writer.stream(face.data, f"/Length1 {len(face.data)}")
    name = f"/AAAAAA+{face.name}"
    descriptor = writer.add(
        f"<</Type/FontDescriptor/FontName{name}/Flags 4/FontBBox[-500 -300 1500 1000]/ItalicAngle 0"
        f"/Ascent 900/Descent -200/CapHeight 700/StemV 80/FontFile2 {data} 0 R>>"
    )
    widths = " ".join(f"{face.ids[c]}[{face.widths[c]:.0f}]" for c in face.ids)
    child = writer.add(
        f"<</Type/Font/Subtype/CIDFontType2/BaseFont{name}/CIDToGIDMap/Identity"
        "/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>"
        f"/FontDescriptor {descriptor} 0 R/W[{widths}]>>"
    )
    table = writer.stream(_to_unicode(face, claims))
    return writer.add(
        f"<</Type/Font/Subtype/Type0/BaseFont{name}/Encoding/Identity-H"
        f"/DescendantFonts[{child} 0 R]/ToUnicode {table} 0 R>>"
    )


def _to_unicode(face: Face, claims: Claims) -> bytes:
    rows = [
        f"<{number:04X}> <{claims(char).encode('utf-16-be', 'surrogatepass').hex().upper()}>"
        for char, number in face.ids.items()
    ]
    blocks = [rows[at : at + 100] for at in range(0, len(rows), 100)]
    body = "".join(
        f"{len(block)} beginbfchar\n" + "\n".join(block) + "\nendbfchar\n" for block in blocks
    )
    return (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def\n"
        "/CMapType 2 def 1 begincodespacerange <0000> <FFFF> endcodespacerange\n"
        f"{body}endcmap end end"
    ).encode()


def _image(writer: Writer, image: Image.Image) -> int:
    image = image.convert("L")
    return writer.stream(
        image.tobytes(),
        f"/Type/XObject/Subtype/Image/Width {image.width}/Height {image.height}"
        "/ColorSpace/DeviceGray/BitsPerComponent 8",
    )
