"""The sizes in which images are sent."""

import random

import pytest

from app.images.budget import fit_size, plan_sizes
from app.models.tokens import ImageTokenRule
from app.schemas import Detail

RULES = [
    ImageTokenRule(32, 64, 2048),
    ImageTokenRule(32, 1024, 4096),
    ImageTokenRule(28, 4, 256),
    ImageTokenRule(),
]
rules = pytest.mark.parametrize("rule", RULES, ids=str)


def any_size(rng: random.Random) -> tuple[int, int]:
    while True:
        width, height = (int(10 ** rng.uniform(0, 4.2)) for _ in range(2))
        if max(width, height) <= 100 * min(width, height):
            return width, height


@rules
def test_any_size_fits_its_budget(rule: ImageTokenRule) -> None:
    rng = random.Random(1)
    for _ in range(5000):
        size = any_size(rng)
        budget = rng.randint(max(64, int(rule.min_tokens * 1.4)), 4096)
        sent = fit_size(size, rule, budget)
        assert rule.tokens(*sent) <= budget
        assert min(sent) >= rule.cell
        assert sent == size or all(side % rule.cell == 0 for side in sent)


@rules
def test_a_shrunk_image_uses_its_budget(rule: ImageTokenRule) -> None:
    rng = random.Random(2)
    for _ in range(1000):
        width, height = rng.randint(1000, 8000), rng.randint(1000, 8000)
        budget = rng.randint(max(256, rule.min_tokens), 2048)
        sent = fit_size((width, height), rule, budget)
        if sent != (width, height):
            columns, rows = sent[0] // rule.cell, sent[1] // rule.cell
            assert columns * rows > 0.85 * budget
            assert columns / rows == pytest.approx(width / height, rel=0.15)


def test_what_fits_is_left_alone() -> None:
    rule = ImageTokenRule(32, 64, 2048)
    assert fit_size((650, 471), rule, 1536) == (650, 471)
    assert fit_size((650, 20), rule, 1536) == (640, 32)


def test_what_a_small_image_leaves_goes_to_the_large() -> None:
    rule = ImageTokenRule(32, 1, 4096)
    small, large = plan_sizes([(64, 64), (4000, 3000)], rule, 1000, Detail.HIGH) or ()
    assert small == (64, 64)
    assert 850 < rule.tokens(*large) <= 996


def test_detail_is_the_share() -> None:
    rule = ImageTokenRule(32, 64, 2048)
    photo = (4032, 3024)
    costs = [rule.tokens(*(plan_sizes([photo], rule, 8000, d) or ())[0]) for d in Detail]
    low, auto, high = costs
    assert 300 < low <= 384
    assert 1300 < auto <= 1536
    assert 1900 < high <= 2048


@rules
def test_a_plan_fits_or_there_is_none(rule: ImageTokenRule) -> None:
    rng = random.Random(3)
    none = 0
    for _ in range(2000):
        sizes = [any_size(rng) for _ in range(rng.randint(1, 16))]
        room = rng.randint(0, 6000)
        planned = plan_sizes(sizes, rule, room, rng.choice(list(Detail)))
        if planned is None:
            none += 1
            # A thin image that is raised to the minimum in whole cells costs up to twice that.
            assert room < len(sizes) * max(64, rule.min_tokens * 2)
        else:
            assert sum(rule.tokens(*size) for size in planned) <= room
    assert 0 < none < 2000
