"""Tokens <-> pixels."""

import random

import pytest

from app.errors import ContextOverflow
from app.images.budget import MIN_TOKENS, fit, per_image, tokens
from app.schemas import Detail


@pytest.mark.parametrize("cell", [28, 32])
def test_any_size_fits_its_budget_in_whole_cells(cell: int) -> None:
    rng = random.Random(1)
    for _ in range(5000):
        width, height = (int(10 ** rng.uniform(0, 4.2)) for _ in range(2))
        if max(width, height) > 100 * min(width, height):
            continue
        budget = rng.randint(MIN_TOKENS, 4096)
        sent = fit(width, height, cell, budget)
        assert sent == (width, height) or all(side % cell == 0 for side in sent)
        assert min(sent) >= cell
        assert tokens(*sent, cell) <= budget
        if width * height > 4 * budget * cell * cell:
            assert tokens(*sent, cell) > 0.5 * budget or min(sent) == cell


def test_what_fits_is_left_alone() -> None:
    assert fit(650, 471, 32, 1536) == (650, 471)
    assert fit(650, 20, 32, 1536) == (640, 32)


def test_images_share_what_text_and_answer_leave() -> None:
    assert per_image(1, 8192, 192, 4000, Detail.AUTO) == 1536
    assert per_image(1, 8192, 192, 4000, Detail.HIGH) == 2048
    assert per_image(1, 8192, 192, 4000, Detail.LOW) == 384
    assert per_image(4, 8192, 192, 4000, Detail.HIGH) == 1000
    with pytest.raises(ContextOverflow) as refused:
        per_image(16, 2048, 192, 1000, Detail.AUTO)
    assert refused.value.extra["num_ctx"] == 2048
