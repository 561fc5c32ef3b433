"""Draws `receipt_ko.png` and `table.png`, and writes what is printed on them beside.

    python examples/make.py [FOLDER OF THE NANUM FONTS]

The fonts (SIL Open Font License 1.1) are Debian's package `fonts-nanum`. The pictures in this
folder were drawn with its version 20200506.
"""

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).parent
FONTS = Path("/usr/share/fonts/truetype/nanum")
INK = (38, 38, 44)

RULE = "-"
# Text on a receipt line: left, middle columns and right are placed apart, as a till prints them.
RECEIPT: tuple[tuple[str, ...] | str, ...] = (
    RULE,
    ("2026-03-17 14:32", "영수증 No.0042"),
    RULE,
    ("상품명", "단가", "수량", "금액"),
    RULE,
    ("서울우유 1L", "2,980", "2", "5,960"),
    ("신라면 5입", "4,100", "1", "4,100"),
    ("바나나 1송이", "3,480", "1", "3,480"),
    ("무항생제 계란 15구", "6,900", "1", "6,900"),
    ("아메리카노 ICE", "2,500", "2", "5,000"),
    RULE,
    ("과세물품가액", "23,127"),
    ("부가세", "2,313"),
)
TOTAL = ("합계", "25,440원")
CARD = (
    RULE,
    ("신용카드 결제", "25,440원"),
    ("카드번호", "5412-75**-****-3821"),
    ("승인번호", "30012345"),
    RULE,
)
TITLE = "행복마트 서초점"
HEAD = ("사업자번호 123-45-67890", "서울특별시 서초구 서초대로 123", "전화 02-555-0123")
THANKS = "감사합니다. 또 방문해 주세요!"

TABLE_TITLE = "Monthly service report"
TABLE_NOTE = "Period: 2026-01 to 2026-06. Latency is the 95th percentile."
TABLE_HEAD = ("Month", "Requests", "Errors", "Latency", "Uptime")
TABLE = (
    ("January", "1,204,551", "312", "184 ms", "99.98%"),
    ("February", "1,187,020", "297", "179 ms", "99.99%"),
    ("March", "1,390,874", "1,045", "231 ms", "99.71%"),
    ("April", "1,352,660", "406", "190 ms", "99.95%"),
    ("May", "1,418,239", "388", "186 ms", "99.97%"),
    ("June", "1,501,776", "421", "188 ms", "99.96%"),
    ("Total", "8,055,120", "2,869", "193 ms", "99.93%"),
)


class Roll:
    """A strip of receipt paper that is written from the top down."""

    def __init__(self, fonts: Path) -> None:
        self.image = Image.new("RGB", (640, 1000), (250, 249, 245))
        self._draw = ImageDraw.Draw(self.image)
        self._fonts = fonts
        self._y = 36
        self.text: list[str] = []

    def centred(self, text: str, size: int, bold: bool = False) -> None:
        font = _font(self._fonts, size, bold)
        x = (self.image.width - self._draw.textlength(text, font)) / 2
        self._draw.text((x, self._y), text, INK, font)
        self._down(text, size)

    def rule(self) -> None:
        y = self._y + 4
        for x in range(40, 600, 12):
            self._draw.line((x, y, x + 6, y), INK, 2)
        self._y += 20

    def columns(self, cells: tuple[str, ...], size: int = 24, bold: bool = False) -> None:
        """The first cell at the left, the others end at their column's right edge."""
        font = _font(self._fonts, size, bold)
        edges = (600,) if len(cells) == 2 else (385, 460, 600)
        self._draw.text((40, self._y), cells[0], INK, font)
        for cell, edge in zip(cells[1:], edges, strict=True):
            self._draw.text((edge, self._y), cell, INK, font, anchor="ra")
        self._down("  ".join(cells), size)

    def _down(self, text: str, size: int) -> None:
        self.text.append(text)
        self._y += round(size * 1.5)

    def cut(self) -> Image.Image:
        return self.image.crop((0, 0, self.image.width, self._y + 24))


def receipt(fonts: Path) -> tuple[Image.Image, str]:
    """The receipt, and its text line by line."""
    roll = Roll(fonts)
    roll.centred(TITLE, 40, bold=True)
    for line in HEAD:
        roll.centred(line, 22)
    for row in (*RECEIPT, TOTAL, *CARD):
        if row == RULE:
            roll.rule()
        elif row is TOTAL:
            roll.columns(TOTAL, 34, bold=True)
        else:
            roll.columns(row)
    roll.centred(THANKS, 22)
    return roll.cut(), "\n".join(roll.text) + "\n"


def table(fonts: Path) -> tuple[Image.Image, str]:
    """The table, and its text line by line."""
    image = Image.new("RGB", (880, 500), "white")
    draw = ImageDraw.Draw(image)
    draw.text((32, 26), TABLE_TITLE, (20, 24, 32), _font(fonts, 28, True))
    draw.text((32, 66), TABLE_NOTE, (90, 96, 108), _font(fonts, 18))
    edges = (32, 340, 490, 660, 848)
    for number, row in enumerate((TABLE_HEAD, *TABLE)):
        top = 104 + number * 46
        strong = number == 0 or row[0] == "Total"
        if strong:
            draw.rectangle((20, top, 860, top + 46), (236, 240, 247))
        draw.line((20, top + 46, 860, top + 46), (208, 214, 224))
        font = _font(fonts, 20, strong)
        for cell, x in zip(row, edges, strict=True):
            draw.text((x, top + 23), cell, INK, font, anchor="lm" if x == 32 else "rm")
    lines = [TABLE_TITLE, TABLE_NOTE, *("  ".join(row) for row in (TABLE_HEAD, *TABLE))]
    return image, "\n".join(lines) + "\n"


def _font(fonts: Path, size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(fonts / f"NanumGothic{'Bold' if bold else ''}.ttf", size)


def main() -> None:
    """Write both pictures and their texts."""
    fonts = Path(sys.argv[1]) if len(sys.argv) > 1 else FONTS
    if not (fonts / "NanumGothicBold.ttf").is_file():
        sys.exit(f"No Nanum fonts in {fonts}. Install them: apt-get install fonts-nanum")
    for name, draw in (("receipt_ko", receipt), ("table", table)):
        image, text = draw(fonts)
        image.save(HERE / f"{name}.png", optimize=True)
        (HERE / f"{name}.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
