"""Questions about one image share its facts."""

from dataclasses import replace
from typing import cast

import numpy as np

from app.embedded.content_cache import MAX_PIXELS, ContentCache, ImageContent
from app.embedded.images.decode import Picture
from app.embedded.models import Models
from app.embedded.vision.image_facts import ImageFacts
from tests.embedded.answers.ask import ask_engine


def test_a_second_question_about_a_picture_is_not_read_again(models: Models) -> None:
    first = ask_engine(models, "합계는 얼마인가요?", "receipt_ko.png")
    blind = replace(models, ocr=replace(models.ocr, tesseract=None))
    assert ask_engine(blind, "합계는 얼마인가요?", "receipt_ko.png") == first
    assert ask_engine(blind, "합계는 얼마인가요?", "table.png") != first


def computed(cache: ContentCache, *questions: tuple[Picture, bool]) -> int:
    """How many of the questions, each an image and whether it is Korean, are computed."""
    computed = 0

    def compute() -> ImageContent:
        nonlocal computed
        computed += 1
        return ImageContent(cast("ImageFacts", None), (str(computed),))

    for picture, korean in questions:
        cache.get_or_compute(picture, korean, compute)
    return computed


def picture(value: int, width: int = 20) -> Picture:
    return Picture(np.full((10, width, 3), value, dtype=np.uint8))


def test_the_last_image_is_cached_by_pixels_and_language() -> None:
    assert computed(ContentCache(), (picture(1), False), (picture(1), False)) == 1
    assert computed(ContentCache(), (picture(1), False), (picture(1), True)) == 2
    assert computed(ContentCache(), (picture(1), False), (picture(1, 40), False)) == 2
    other_between = ((picture(1), False), (picture(2), False), (picture(1), False))
    assert computed(ContentCache(), *other_between) == 3


def test_a_large_image_is_not_cached() -> None:
    large = picture(1, MAX_PIXELS // 10 + 1)
    assert computed(ContentCache(), (large, False), (large, False)) == 2
