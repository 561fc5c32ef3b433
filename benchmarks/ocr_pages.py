"""Pages of text for the OCR benchmark: sentences, fonts, and what happens to a page on its way.

The sentences were written when the engine's thresholds had been set, and nothing has been tuned
on them; the fonts are others than those that the engine's comments name as tuned on (Nanum
Gothic, Nanum Barun Gothic, Nanum Gothic Coding). To keep it so, tune on other sentences.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]  # (height, width, 3), BGR

FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))
PACKAGES = {  # file -> Debian package
    "LiberationSerif-Regular.ttf": "fonts-liberation",
    "LiberationSans-Regular.ttf": "fonts-liberation",
    "NanumMyeongjo.ttf": "fonts-nanum",
    "NanumSquareR.ttf": "fonts-nanum",
    "NotoSansCJK-Regular.ttc": "fonts-noto-cjk",
    "ipagp.ttf": "fonts-ipafont-gothic",
    "ipamp.ttf": "fonts-ipafont-mincho",
    "wqy-zenhei.ttc": "fonts-wqy-zenhei",
    "wqy-microhei.ttc": "fonts-wqy-microhei",
}
# A file, and the face in it: a collection's Korean face is not its first.
HELD_OUT = {
    "en": (("LiberationSerif-Regular.ttf", 0), ("LiberationSans-Regular.ttf", 0)),
    "ko": (("NanumMyeongjo.ttf", 0), ("NanumSquareR.ttf", 0), ("NotoSansCJK-Regular.ttc", 1)),
    "ko+en": (("NanumMyeongjo.ttf", 0), ("NanumSquareR.ttf", 0), ("NotoSansCJK-Regular.ttc", 1)),
    "ja": (("ipagp.ttf", 0), ("ipamp.ttf", 0)),
    "zh": (("wqy-zenhei.ttc", 0), ("wqy-microhei.ttc", 0)),
}
SENTENCES = {
    "en": (
        "The ferry to the island leaves at 7:45 every morning.",
        "Please return the signed form before Friday, 12 June.",
        "Deposit: $1,350.00, refundable within thirty days",
        "Gate B17 closes fifteen minutes before departure.",
        "Our kitchen uses only local eggs, flour and butter.",
        "Serial number: KX-4408-921, made in Portugal",
        "Visitors must register at the front desk first.",
        "Rainfall rose by 18% compared with last autumn.",
    ),
    "ko": (
        "도서관은 매주 월요일에 문을 닫습니다.",
        "분실물은 안내 데스크에 맡겨 주세요.",
        "할머니가 보내 주신 감자를 삶아 먹었다.",
        "버스 요금이 다음 달부터 오릅니다.",
        "산책로 끝에는 작은 연못이 있습니다.",
        "비가 그친 뒤에 하늘이 맑게 갰다.",
        "문의 사항은 관리 사무소로 연락하십시오.",
        "올해 쌀 수확량은 작년보다 많습니다.",
    ),
    "ko+en": (
        "Bluetooth 연결이 끊어졌습니다.",
        "회의는 Zoom으로 진행합니다.",
        "배송 조회는 app에서 확인하세요.",
        "파일 크기는 25MB 이하입니다.",
        "Python 3으로 작성한 예제입니다.",
        "오후 6시에 Hall B에서 만나요.",
        "가격은 48,500원이고 무료 배송입니다.",
        "USB 케이블과 설명서가 들어 있습니다.",
    ),
    "ja": (
        "図書館は毎週月曜日に休館します。",
        "忘れ物は案内所にお届けください。",
        "来月からバスの運賃が上がります。",
        "散歩道の終わりに小さな池がある。",
        "会議室は三階の奥にあります。",
        "雨が止んで、空が明るくなった。",
        "申込書は金曜日までに提出すること。",
        "今年の収穫量は去年より多い。",
    ),
    "zh": (
        "图书馆每周一闭馆，请提前安排。",
        "失物请交到服务台登记。",
        "下个月起公交车票价上调。",
        "小路的尽头有一个安静的池塘。",
        "会议室在三楼走廊的尽头。",
        "雨停了以后，天空变得很晴朗。",
        "报名表请在星期五之前提交。",
        "今年的粮食产量比去年高。",
    ),
}
CONDITIONS = (
    *("14 px", "20 px", "28 px", "noise", "blur", "tilt 3", "tilt -5", "light on dark"),
    *("turn 90", "turn 180", "turn 270", "photographed"),
)
LINE_PX = 26  # the letters' size where the condition says none
MARGIN_PX = 48
SPACING = 1.7  # from line to line, in sizes of the letters


class FontMissing(Exception):
    """A font is not installed. The message says what to install."""


@dataclass(frozen=True, slots=True)
class PageOf:
    """One page: its language, what was done to it, its picture and its text."""

    language: str
    condition: str
    image: Pixels
    text: str


def pages(seed: int = 11) -> list[PageOf]:
    """A page for each language and condition, the fonts and the sentences' order changing.

    Raises:
        FontMissing: one of the fonts is not installed.
    """
    random = np.random.default_rng(seed)
    made = []
    for language, sentences in SENTENCES.items():
        fonts = HELD_OUT[language]
        for number, condition in enumerate(CONDITIONS):
            order = random.permutation(len(sentences))
            lines = [sentences[place] for place in order]
            image = _done(_drawn(lines, fonts[number % len(fonts)], condition), condition, random)
            made.append(PageOf(language, condition, image, "\n".join(lines)))
    return made


def _drawn(lines: list[str], face: tuple[str, int], condition: str) -> Pixels:
    size = int(condition.split(maxsplit=1)[0]) if condition.endswith(" px") else LINE_PX
    font = ImageFont.truetype(str(_font(face[0])), size, index=face[1])
    width = max(round(font.getlength(line)) for line in lines) + 2 * MARGIN_PX
    step = round(size * SPACING)
    image = Image.new("RGB", (width, 2 * MARGIN_PX + step * len(lines)), "white")
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((MARGIN_PX, MARGIN_PX + step * number), line, font=font, fill=(20, 20, 20))
    return np.ascontiguousarray(np.asarray(image)[:, :, ::-1])


def _font(name: str) -> Path:
    for folder in FOLDERS:
        if found := next(folder.rglob(name), None):
            return found
    packages = " ".join(sorted(set(PACKAGES.values())))
    raise FontMissing(f"{name} is not installed. Run: apt-get install {packages}")


def _done(image: Pixels, condition: str, random: np.random.Generator) -> Pixels:
    """The page after its condition."""
    kind, _, amount = condition.partition(" ")
    done: Any = image
    match kind:
        case "noise":
            done = (image + random.normal(0, 18, image.shape)).clip(0, 255)
        case "blur":
            done = cv2.GaussianBlur(image, (0, 0), 1.0)
        case "tilt":
            done = _tilted(image, float(amount))
        case "light":
            done = 255 - image
        case "turn":
            done = np.rot90(image, -int(amount) // 90)
        case "photographed":
            done = _photographed(image, random)
    return np.ascontiguousarray(done, dtype=np.uint8)


def _tilted(image: Pixels, degrees: float) -> Any:
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    pad = round(abs(np.sin(np.radians(degrees))) * max(height, width) / 2)
    turn[:, 2] += pad
    size = width + 2 * pad, height + 2 * pad
    return cv2.warpAffine(image, turn, size, flags=cv2.INTER_CUBIC, borderValue=(255, 255, 255))


def _photographed(image: Pixels, random: np.random.Generator) -> Any:
    """Enlarged, seen from aside, lit from one corner, a little blurred and noisy, as a JPEG."""
    image = np.asarray(cv2.resize(image, None, fx=1.3, fy=1.3, interpolation=cv2.INTER_CUBIC))
    height, width = image.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    moved = corners + random.uniform(0, 0.035, (4, 2)).astype(np.float32) * (width, height)
    matrix = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    size = round(width * 1.04), round(height * 1.04)
    seen: Any = cv2.warpPerspective(image, matrix, size, borderValue=(120, 140, 150))
    light = (
        np.linspace(1.0, 0.65, size[0])[None, :, None] * np.linspace(1, 0.9, size[1])[:, None, None]
    )
    seen = cv2.GaussianBlur((seen * light).astype(np.float32), (0, 0), 0.8)
    seen = (seen + random.normal(0, 5, seen.shape)).clip(0, 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", seen, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)
