"""The room for uploads, and each client's share of it."""

import pytest

from app.errors import ServerBusy
from app.server.upload_memory import UploadBudget
from tests.test_server import start


def test_one_client_takes_half() -> None:
    upload_budget = UploadBudget(100)
    one = upload_budget.reserve("a")
    one.grow(50)
    with pytest.raises(ServerBusy) as refused:
        one.grow(1)
    assert refused.value.retry_after_s
    assert upload_budget.held_bytes == 50


def test_who_comes_later_finds_room() -> None:
    upload_budget = UploadBudget(120)
    taken = []
    for client in "abc":
        taken.append(0)
        with pytest.raises(ServerBusy):
            while True:
                upload_budget.reserve(client).grow(1)
                taken[-1] += 1
    assert taken == [60, 30, 15]
    assert upload_budget.held_bytes == 105


def test_the_uploads_of_a_client_count_together() -> None:
    upload_budget = UploadBudget(100)
    first, second = upload_budget.reserve("a"), upload_budget.reserve("a")
    first.grow(30)
    with pytest.raises(ServerBusy):
        second.grow(21)
    first.shrink(10)
    second.grow(21)
    first.release()
    first.release()
    second.release()
    assert upload_budget.held_bytes == 0
    assert not upload_budget._held_by_client


def test_more_is_not_let_go_than_is_held() -> None:
    upload_budget = UploadBudget(100)
    upload = upload_budget.reserve("a")
    upload.grow(10)
    upload.shrink(1000)
    assert upload_budget.held_bytes == 0


def test_what_is_announced_is_checked_and_not_reserved() -> None:
    upload_budget = UploadBudget(100)
    for _ in range(10):
        upload_budget.reserve("a").check(50)
    with pytest.raises(ServerBusy):
        upload_budget.reserve("a").check(51)
    assert upload_budget.held_bytes == 0


def test_room_for_less_than_two_bodies_is_refused() -> None:
    ended = start(UPLOADS_MAX_MB="30", MAX_BODY_MB="20")
    assert ended.returncode == 1
    assert ended.stderr.startswith("The setting UPLOADS_MAX_MB is invalid: ")
    assert "40" in ended.stderr
