"""The room for uploads, and each client's share of it."""

import pytest

from app.errors import ServerBusy
from app.uploads import Uploads
from tests.test_server import start


def test_one_client_takes_half() -> None:
    uploads = Uploads(100)
    one = uploads.open("a")
    one.take(50)
    with pytest.raises(ServerBusy) as refused:
        one.take(1)
    assert refused.value.retry_after_s
    assert uploads.held == 50


def test_who_comes_later_finds_room() -> None:
    uploads = Uploads(120)
    taken = []
    for client in "abc":
        taken.append(0)
        with pytest.raises(ServerBusy):
            while True:
                uploads.open(client).take(1)
                taken[-1] += 1
    assert taken == [60, 30, 15]
    assert uploads.held == 105


def test_the_uploads_of_a_client_count_together() -> None:
    uploads = Uploads(100)
    first, second = uploads.open("a"), uploads.open("a")
    first.take(30)
    with pytest.raises(ServerBusy):
        second.take(21)
    first.let_go(10)
    second.take(21)
    first.release()
    first.release()
    second.release()
    assert uploads.held == 0
    assert not uploads._clients


def test_more_is_not_let_go_than_is_held() -> None:
    uploads = Uploads(100)
    upload = uploads.open("a")
    upload.take(10)
    upload.let_go(1000)
    assert uploads.held == 0


def test_what_is_announced_is_checked_and_not_reserved() -> None:
    uploads = Uploads(100)
    for _ in range(10):
        uploads.open("a").check(50)
    with pytest.raises(ServerBusy):
        uploads.open("a").check(51)
    assert uploads.held == 0


def test_room_for_less_than_two_bodies_is_refused() -> None:
    ended = start(UPLOADS_MAX_MB="30", MAX_BODY_MB="20")
    assert ended.returncode == 1
    assert ended.stderr.startswith("The setting UPLOADS_MAX_MB is invalid: ")
    assert "40" in ended.stderr
