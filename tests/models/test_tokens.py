"""The estimated tokens of a prompt."""

import random

import pytest

from app.models.tokens import ImageTokenRule, PromptCost, TokenEstimator, image_rule


@pytest.mark.parametrize(
    ("info", "version", "rule"),
    [
        (
            {"general.architecture": "qwen3vl"},
            "0.12.7",
            ImageTokenRule(32, 64, 2048, half_to_even=True),
        ),
        ({"general.architecture": "qwen3vl"}, "0.33.1", ImageTokenRule(32, 1024, 4096)),
        ({"general.architecture": "qwen3vlmoe"}, "", ImageTokenRule(32, 1024, 4096)),
        (
            {
                "general.architecture": "qwen25vl",
                "qwen25vl.vision.patch_size": 14,
                "qwen25vl.vision.spatial_merge_size": 2,
                "qwen25vl.vision.max_pixels": 256 * 28 * 28,
            },
            "0.9.3",
            ImageTokenRule(28, 4, 256),
        ),
        ({"general.architecture": "embedded"}, "0.9.3", ImageTokenRule(32, 1, 4096)),
        ({}, "", ImageTokenRule(32, 1, 4096)),
    ],
)
def test_rule_of_a_model(info: dict[str, object], version: str, rule: ImageTokenRule) -> None:
    assert image_rule(info, version) == rule


def test_images_are_seen_in_whole_cells_between_the_bounds() -> None:
    rule = ImageTokenRule(32, 64, 2048)
    assert rule.resized_size(640, 480) == (640, 480)
    assert rule.resized_size(656, 471) == (672, 480)  # half a cell goes up
    assert rule.tokens(4032, 3024) <= 2048
    assert rule.tokens(10, 10) == 64
    rng = random.Random(4)
    for _ in range(5000):
        width, height = rng.randint(1, 9000), rng.randint(1, 9000)
        if max(width, height) < 20 * min(width, height):
            assert 64 <= rule.tokens(width, height) <= 2048


def test_the_estimate_learns_any_tokenizer() -> None:
    """Bytes per token, the tokens of the template and those around an image are unknown."""
    rng = random.Random(5)
    for per_ascii, per_other, around, template in ((1, 1, 14, 27), (0.25, 0.4, 2, 11)):
        estimator = TokenEstimator()

        def counted(cost: PromptCost) -> int:
            return round(
                cost.ascii_bytes * per_ascii  # noqa: B023
                + cost.other_bytes * per_other  # noqa: B023
                + cost.images * around  # noqa: B023
                + cost.image_tokens
                + template  # noqa: B023
            )

        for _ in range(12):
            images = [rng.randint(64, 2000) for _ in range(rng.randint(1, 4))]
            text = "word " * rng.randint(10, 200) + "글자 " * rng.randint(0, 100)
            estimator.learn(PromptCost.of(text, images), counted(PromptCost.of(text, images)))
        for _ in range(50):
            images = [rng.randint(64, 2000) for _ in range(rng.randint(1, 4))]
            cost = PromptCost.of(
                "text " * rng.randint(10, 200) + "말 " * rng.randint(0, 100), images
            )
            assert estimator.predict(cost) == pytest.approx(counted(cost), rel=0.02)


def test_counts_that_cannot_be_are_passed_over() -> None:
    estimator = TokenEstimator()
    cost = PromptCost.of("word " * 400, [1000])
    before = estimator.predict(cost)
    estimator.learn(cost, 0)
    estimator.learn(cost, 100_000)
    assert estimator.predict(cost) == before
    assert estimator.samples == 0


def test_a_known_rule_is_not_unlearnt() -> None:
    """Counts of merged images are ignored; predictions stay within the bounds of the weights."""
    estimator = TokenEstimator(image_cost_known=True)
    cost = PromptCost.of("word " * 40, [1036] * 6)
    assert estimator.lacks_images(cost, 3204)
    before = estimator.predict(cost)
    for _ in range(20):
        estimator.learn(cost, 3204)
    assert estimator.predict(cost) == before
    assert not estimator.lacks_images(cost, 6216 + 12 + 80)
    assert not estimator.lacks_images(PromptCost.of("word " * 40, []), 5)
    rng = random.Random(6)
    for _ in range(500):
        some = PromptCost.of(
            "a" * rng.randint(0, 9000), [rng.randint(64, 4000)] * rng.randint(0, 4)
        )
        estimator.learn(some, rng.randint(0, 20_000))
    for size in (1, 4):
        bare = PromptCost.of("", [1000] * size)
        assert 950 * size <= estimator.predict(bare) <= 1050 * size + 64 * size + 4000
    assert estimator.predict(PromptCost.of("a" * 1000, [])) <= 1150 + 4000


def test_a_wrong_refusal_heals() -> None:
    """A prompt that was wrongly predicted not to fit is soon accepted, and its count is learned."""
    estimator = TokenEstimator()
    text = PromptCost.of("a" * 9000, [])
    for _ in range(5):
        estimator.learn(text, 9000)  # the engine counts three times the real number
    room = 4000
    assert estimator.predict(text) > room
    tries = 0
    while estimator.predict(text) > room:
        tries += 1
        estimator.relax(text, room)
        assert tries < 20
    estimator.learn(text, 3000)
    assert estimator.predict(text) == pytest.approx(3000, rel=0.05)
    big = PromptCost.of("a" * 90_000, [])
    before = list(estimator.weights)
    estimator.relax(big, room)
    assert estimator.weights == before, "a prompt that never fits must not change the weights"
