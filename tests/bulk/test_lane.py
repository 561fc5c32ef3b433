"""How many requests at once a server gets: the arithmetic of TCP, with a clock of our own."""

import pytest

from app.bulk.lane import Lane


def test_it_grows_fast_until_the_first_refusal_and_then_slowly() -> None:
    lane = Lane("a", 64)
    assert int(lane.limit) == 2
    for _ in range(14):
        lane.answered()
    assert lane.limit == 16
    lane.refused(started=9.0, now=10.0, retry_after_s=0)
    assert lane.limit == 8
    for _ in range(8):  # a round of answers
        lane.answered()
    assert lane.limit == pytest.approx(9, abs=0.1)


def test_one_wave_of_refusals_halves_once() -> None:
    lane = Lane("a", 64)
    lane.limit = 16
    for _ in range(16):
        lane.refused(started=9.0, now=10.0, retry_after_s=0)
    assert lane.limit == 8
    lane.refused(started=10.5, now=11.0, retry_after_s=0)
    assert lane.limit == 4


def test_it_never_falls_below_one_nor_grows_over_the_most() -> None:
    lane = Lane("a", 3)
    for _ in range(9):
        lane.answered()
    assert lane.limit == 3
    for second in range(9):
        lane.refused(second, second + 0.5, 0)
    assert lane.limit == 1
    assert Lane("a", 1).limit == 1


def test_retry_after_is_kept_to() -> None:
    lane = Lane("a", 8)
    lane.refused(9, 10, retry_after_s=7)
    lane.refused(9, 10, retry_after_s=3)  # the longest counts
    assert not lane.free(16.9)
    assert lane.free(17)


def test_without_retry_after_the_pause_grows_within_a_bound() -> None:
    for refusals, most in ((1, 2), (3, 8), (20, 30)):
        pauses = []
        for _ in range(200):
            lane = Lane("a", 8)
            for _ in range(refusals):
                lane.resumes = 0
                lane.refused(0, 100, None)
            pauses.append(lane.resumes - 100)
        assert 0 <= min(pauses) < most / 4 < most * 3 / 4 < max(pauses) <= most


def test_room_is_what_the_limit_leaves() -> None:
    lane = Lane("a", 8)
    lane.running = 2
    assert not lane.free(0)
    assert lane.load == 1
    lane.answered()
    assert lane.free(0)
    lane.down = True
    assert not lane.free(0)
    lane.returned()
    assert int(lane.limit) == 1
