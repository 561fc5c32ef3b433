"""Pages of documents: selection, size, text layer and rendering."""

import base64
import io
from pathlib import Path

import pypdfium2 as pdfium  # type: ignore[import-untyped]
import pytest
from PIL import Image

from app.errors import ImageTooLarge, InvalidParameter, PageOutOfRange, UnreadableImage
from app.images.decode import prepare
from app.images.pages import select_pages
from app.images.picture import Limits, Picture
from app.images.probe import probe
from tests.images.corpus import photo
from tests.images.files import pdf_of
from tests.images.test_corpus import psnr
from tests.pictures import encoded, text_pdf

LIMITS = Limits(max_megapixels=50, max_pages=50)
WORDS = "The quick brown fox jumps over the lazy dog."


def shown(picture: Picture, size: tuple[int, int]) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(prepare(picture, size).base64)))


@pytest.mark.parametrize(
    ("pages", "numbers"),
    [
        (None, [1, 2, 3, 4, 5, 6, 7]),
        ("", [1, 2, 3, 4, 5, 6, 7]),
        ("1-3,7", [1, 2, 3, 7]),
        (" 2 , 4 - 5 ", [2, 4, 5]),
        ("6-", [6, 7]),
        ("7,1", [7, 1]),
        ("2,2,1-3", [2, 1, 3]),
    ],
)
def test_selection(pages: str | None, numbers: list[int]) -> None:
    assert select_pages(pages, 7, 50, "image[0]") == numbers


@pytest.mark.parametrize("pages", ["0", "8", "1-8", "9-", "3-2"])
def test_pages_that_are_not_there(pages: str) -> None:
    with pytest.raises(PageOutOfRange, match=r"has 7 page"):
        select_pages(pages, 7, 50, "image[0]")


@pytest.mark.parametrize("pages", ["a", "1;2", "-3", "1--2", "1.5", ",", "1,,2", "٣"])
def test_selections_that_are_none(pages: str) -> None:
    if pages == "٣":  # an Arabic digit is parsed as a number
        assert select_pages(pages, 7, 50, "image[0]") == [3]
        return
    with pytest.raises(InvalidParameter, match="1-3,7"):
        select_pages(pages, 7, 50, "image[0]")


def test_too_many_pages() -> None:
    with pytest.raises(ImageTooLarge, match="pages=1-50"):
        select_pages(None, 51, 50, "image[0]")
    assert len(select_pages("2-51", 51, 50, "image[0]")) == 50


def test_a_page_tells_its_size_in_points() -> None:
    (page,) = probe(text_pdf([WORDS]), 0, LIMITS)
    assert (page.width, page.height, page.page) == (595, 842, 1)
    assert page.natural_size == (1653, 2339)  # 200 dpi


def test_text_layers_are_read() -> None:
    pages = probe(text_pdf([WORDS, f"Second page. {WORDS}"]), 0, LIMITS)
    assert [page.text for page in pages] == [WORDS, f"Second page. {WORDS}"]


@pytest.mark.parametrize("text", ["3", "", "page 12 of 30"])
def test_text_that_cannot_stand_for_a_page_is_left(text: str) -> None:
    (page,) = probe(text_pdf([text]), 0, LIMITS)
    assert page.text is None


def test_a_scan_has_no_text() -> None:
    (page,) = probe(pdf_of(photo()), 0, LIMITS)
    assert page.text is None


def test_pages_are_drawn_in_the_planned_size() -> None:
    red = Image.new("RGB", (300, 200), (200, 20, 20))
    first, second = probe(pdf_of(photo(), red), 0, LIMITS)
    assert shown(first, (320, 224)).size == (320, 224)
    assert psnr(shown(first, (320, 224)), photo()) > 30
    assert psnr(shown(second, (96, 64)), red) > 30


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_turned_pages_come_out_upright(turn: int) -> None:
    document = pdfium.PdfDocument(pdf_of(photo()))
    document[0].set_rotation(turn)
    out = io.BytesIO()
    document.save(out)
    (page,) = probe(out.getvalue(), 0, LIMITS)
    upright = photo().rotate(-turn, expand=True)
    assert (page.width, page.height) == upright.size
    assert psnr(shown(page, upright.size), upright) > 30


def test_a_page_of_absurd_size_costs_what_was_planned() -> None:
    document = pdfium.PdfDocument.new()
    document.new_page(14_400, 14_400)
    out = io.BytesIO()
    document.save(out)
    (page,) = probe(out.getvalue(), 0, LIMITS)
    assert shown(page, (640, 640)).size == (640, 640)


def test_a_locked_document_says_so() -> None:
    with pytest.raises(UnreadableImage, match="password"):
        probe((Path(__file__).parent / "locked.pdf").read_bytes(), 0, LIMITS)


def test_pages_of_a_tiff() -> None:
    pages = [photo(), Image.new("RGB", (64, 96), "blue"), photo((200, 100))]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    found = probe(data, 0, LIMITS)
    assert [(one.page, one.width, one.height) for one in found] == [
        (1, 320, 224),
        (2, 64, 96),
        (3, 200, 100),
    ]
    for one, page in zip(found, pages, strict=True):
        assert psnr(shown(one, page.size), page) > 30
    (only,) = probe(data, 0, LIMITS, "2")
    assert only.page == 2


def test_an_image_has_one_page() -> None:
    data = encoded(photo(), "PNG")
    assert probe(data, 0, LIMITS, "1")[0].page is None
    with pytest.raises(PageOutOfRange):
        probe(data, 0, LIMITS, "2")


def test_pages_whose_text_layer_is_not_looked_at_in_time_are_read_as_pictures() -> None:
    """A document with many slow pages still gets an answer."""
    letter = Path("examples/letter.pdf").read_bytes()
    (looked_at,) = probe(letter, 0, Limits(50), "1")
    (not_looked_at,) = probe(letter, 0, Limits(50, text_layer_budget_s=-1), "1")
    assert looked_at.text
    assert not_looked_at.text is None
    assert (not_looked_at.width, not_looked_at.height) == (looked_at.width, looked_at.height)
