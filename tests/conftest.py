"""The real daemon for every test that asks for it, and how many did."""

import signal
from collections.abc import Iterator

import hypothesis
import pytest

from app.embedded import weights
from tests.client.fake import Fake
from tests.daemon.install import InstallError, install, unsupported
from tests.daemon.process import Daemon, given
from tests.engine_embedded import embedded_engine
from tests.server import Server

# No deadline of an example: a busy machine breaks one of 200 ms.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background of a shell: what the tests start would inherit that, and Ctrl-C
    # could not be tested.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Files go to the processes in the order in which they stand. xdist would send those with few
    tests last, which are the longest here, and one package's among another's: then its browser and
    its servers end and start again for each."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


@pytest.fixture(scope="session")
def _daemon_process() -> Iterator[Daemon]:
    if not given():
        if reason := unsupported():
            pytest.skip(reason)
        try:
            install()
        except InstallError as error:
            pytest.skip(str(error))
    with Daemon() as daemon:
        yield daemon


@pytest.fixture
def daemon(_daemon_process: Daemon) -> Daemon:
    """A running daemon; one that a test has stopped is started again for the next."""
    if not _daemon_process.running():
        _daemon_process.start()
    return _daemon_process


@pytest.fixture(scope="session")
def on_daemon(
    _daemon_process: Daemon, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The server in front of the real daemon, with the tiny model as its default. All tests of one
    process share it: where an answer may be kept, ask what nobody else asks."""
    log = tmp_path_factory.mktemp("on_daemon") / "server.log"
    settings = {"OLLAMA_HOST": _daemon_process.url, "MODEL_NAME": "tiny-vlm", "NUM_CTX": "4096"}
    with Server(log, **settings, REQUEST_TIMEOUT_S="45") as server:
        yield server


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running embedded engine, which all tests of one process share."""
    if missing := weights.missing_packages():
        pytest.skip(f"not installed: {', '.join(missing)}")
    with embedded_engine(tmp_path_factory.mktemp("embedded") / "engine.log") as url:
        yield url


@pytest.fixture(scope="session")
def on_embedded(embedded: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """As `on_daemon`, in front of the embedded engine."""
    log = tmp_path_factory.mktemp("on_embedded") / "server.log"
    with Server(log, OLLAMA_HOST=embedded, MODEL_NAME="embedded") as server:
        yield server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "_daemon_process" in getattr(item, "fixturenames", ()):
            item.add_marker("daemon")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many tests ran against the real daemon, or why none did; what the documents' commands
    printed, and which were not run. By the reports, which come from all processes."""
    reports = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, ())
    ]
    for what in ("run", "not run"):
        told = [text for one in reports for name, text in one.user_properties if name == what]
        if told:
            terminalreporter.write_line(f"commands of the documents, {what}: {len(told)}")
            terminalreporter.write_line("\n".join(f"  {text}" for text in told))
    ran = sum("daemon" in report.keywords for report in reports)
    reason = f"OLLAMA_BIN={given()}" if given() else unsupported()
    line = f"real-daemon tests: {ran} ran" + (f" ({reason})" if reason else "")
    if not given():
        line += "; against a current Ollama: none (OLLAMA_BIN names no binary)"
    terminalreporter.write_line(line)


@pytest.fixture
def fake() -> Iterator[Fake]:
    """A server that answers at once, or refuses as it is told."""
    with Fake() as fake:
        yield fake
