"""Loops are detected; text that legitimately repeats is not."""

import random
import time

import pytest

from app.engine.repetition import MIN_LENGTH, RepetitionDetector

BLOCKS = {
    "a word": "the ",
    "a line": "| 2024-03-17 | 25,440 | paid |\n",
    "a block": "".join(f"line {number} of a longer block of text\n" for number in range(20)),
    "Hangul": "합계 25,440원 부가세 2,313원\n",
}


def fed(text: str, piece: int) -> tuple[int, int]:
    """The characters fed until the loop was found, and the number of repeated ones."""
    detector = RepetitionDetector()
    for at in range(0, len(text), piece):
        if surplus := detector.feed(text[at : at + piece]):
            return min(len(text), at + piece), surplus
    return len(text), 0


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("piece", [1, 4, 37])
def test_a_loop_is_found_and_cut_to_its_first_time(name: str, piece: int) -> None:
    block = BLOCKS[name]
    start = "Something else is said at first, and it stays.\n"
    text = start + block * 2000
    said, surplus = fed(text, piece)
    assert surplus
    assert said < len(start) + max(MIN_LENGTH, 8 * len(block)) + len(block) + 200
    kept = text[: said - surplus]
    assert kept.startswith(start)
    assert len(kept) <= len(start) + max(len(block), 20) + len(block)


def test_text_that_really_repeats_is_left_alone() -> None:
    rows = "|      |      |      |\n" * 60
    numbered = "".join(f"| {number} | 0 | 0 | 0 | 0 | 0 |\n" for number in range(500))
    poem = "Row, row, row your boat, gently down the stream.\n" * 20
    rng = random.Random(9)
    prose = " ".join(rng.choice(("a", "an", "the", "of", "one", "two")) for _ in range(20_000))
    for text in (rows, numbered, poem, prose, "=" * 2000, "." * 1500):
        assert fed(text, 5)[1] == 0


def test_a_long_answer_costs_little() -> None:
    """The cost is linear."""
    rng = random.Random(10)
    text = "".join(rng.choice("abcdefgh \n") for _ in range(200_000))
    started = time.thread_time()
    assert fed(text, 4)[1] == 0
    assert time.thread_time() - started < 5
