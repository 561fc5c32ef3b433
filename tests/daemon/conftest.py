"""The daemon for this folder's own tests."""

from collections.abc import Iterator

import pytest

from tests.daemon.install import InstallError, install, unsupported
from tests.daemon.process import Daemon


@pytest.fixture(scope="session")
def real_daemon() -> Iterator[Daemon]:
    """A running daemon; tests that break it bring it back with `start`."""
    if reason := unsupported():
        pytest.skip(reason)
    try:
        install()
    except InstallError as error:
        pytest.skip(str(error))
    with Daemon() as daemon:
        yield daemon
