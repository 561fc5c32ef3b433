"""How many requests at once a server gets: the arithmetic of TCP, with a clock of our own."""

import pytest

from app.bulk.concurrency_limit import ConcurrencyLimit


def test_it_grows_fast_until_the_first_refusal_and_then_slowly() -> None:
    limit = ConcurrencyLimit("a", 64)
    assert int(limit.current) == 2
    for _ in range(14):
        limit.on_answer()
    assert limit.current == 16
    limit.on_refusal(sent_at=9.0, now=10.0, retry_after_s=0)
    assert limit.current == 8
    for _ in range(8):  # a round of answers
        limit.on_answer()
    assert limit.current == pytest.approx(9, abs=0.1)


def test_one_wave_of_refusals_halves_once() -> None:
    limit = ConcurrencyLimit("a", 64)
    limit.current = 16
    for _ in range(16):
        limit.on_refusal(sent_at=9.0, now=10.0, retry_after_s=0)
    assert limit.current == 8
    limit.on_refusal(sent_at=10.5, now=11.0, retry_after_s=0)
    assert limit.current == 4


def test_it_never_falls_below_one_nor_grows_over_the_most() -> None:
    limit = ConcurrencyLimit("a", 3)
    for _ in range(9):
        limit.on_answer()
    assert limit.current == 3
    for second in range(9):
        limit.on_refusal(second, second + 0.5, 0)
    assert limit.current == 1
    assert ConcurrencyLimit("a", 1).current == 1


def test_retry_after_is_kept_to() -> None:
    limit = ConcurrencyLimit("a", 8)
    limit.on_refusal(9, 10, retry_after_s=7)
    limit.on_refusal(9, 10, retry_after_s=3)  # the longest counts
    assert not limit.has_room(16.9)
    assert limit.has_room(17)


def test_without_retry_after_the_pause_grows_within_a_bound() -> None:
    for refusals, longest in ((1, 2), (3, 8), (20, 30)):
        pauses = []
        for _ in range(200):
            limit = ConcurrencyLimit("a", 8)
            for _ in range(refusals):
                limit.resume_at = 0
                limit.on_refusal(0, 100, None)
            pauses.append(limit.resume_at - 100)
        assert 0 <= min(pauses) < longest / 4 < longest * 3 / 4 < max(pauses) <= longest


def test_room_is_what_the_limit_leaves() -> None:
    limit = ConcurrencyLimit("a", 8)
    limit.running = 2
    assert not limit.has_room(0)
    assert limit.load == 1
    limit.on_answer()
    assert limit.has_room(0)
    limit.down = True
    assert not limit.has_room(0)
    limit.on_recovery()
    assert int(limit.current) == 1
