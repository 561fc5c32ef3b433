"""Fixtures of all tests: the real daemon, the embedded engine, and servers in front of them."""

import signal
from collections.abc import Iterator

import hypothesis
import pytest
from httpx._config import DEFAULT_TIMEOUT_CONFIG

from app.embedded import weights
from tests.client.fake import Fake
from tests.engine_embedded import embedded_engine
from tests.inference_server import Server
from tests.ollama_daemon.install import InstallError, install, unsupported
from tests.ollama_daemon.process import Daemon, given
from tests.polling import HANG_S

# httpx gives up after 5 s, which a busy machine may take. What is tested sets timeouts of its own.
for phase in ("connect", "read", "write", "pool"):
    setattr(DEFAULT_TIMEOUT_CONFIG, phase, HANG_S)

# A busy machine makes examples slowly, which is no failure.
hypothesis.settings.register_profile(
    "tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # The test run was started in the background of a shell. The programs that tests start would
    # inherit that SIGINT is ignored, and Ctrl-C could not be tested.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Distribute files to the processes of xdist in their order. xdist would send files with few
    tests last, which take the longest here, and mix the packages, so that the browser and the
    servers of a package would start several times."""
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
    """The running daemon. When a test has stopped it, it is started again for the next one."""
    if not _daemon_process.running():
        _daemon_process.start()
    return _daemon_process


@pytest.fixture(scope="session")
def on_daemon(
    _daemon_process: Daemon, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The server in front of the real daemon, with the tiny model as its default. All tests of a
    process share it and its cache of answers: a test that counts generations needs a prompt of
    its own."""
    log = tmp_path_factory.mktemp("on_daemon") / "server.log"
    settings = {"OLLAMA_HOST": _daemon_process.url, "MODEL_NAME": "tiny-vlm", "NUM_CTX": "4096"}
    with Server(log, **settings, REQUEST_TIMEOUT_S="45") as server:
        yield server


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running embedded engine. All tests of a process share it."""
    if missing := weights.missing_packages():
        pytest.skip(f"not installed: {', '.join(missing)}")
    with embedded_engine(tmp_path_factory.mktemp("embedded") / "engine.log") as url:
        yield url


@pytest.fixture(scope="session")
def on_embedded(embedded: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server in front of the embedded engine."""
    log = tmp_path_factory.mktemp("on_embedded") / "server.log"
    with Server(log, OLLAMA_HOST=embedded, MODEL_NAME="embedded") as server:
        yield server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "_daemon_process" in getattr(item, "fixturenames", ()):
            item.add_marker("daemon")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many tests ran against the real daemon, or why none did; and which commands of the
    documents ran. The reports come from all processes."""
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
    """A fake of this server's API, which answers at once or refuses."""
    with Fake() as fake:
        yield fake
