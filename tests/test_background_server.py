"""The helper that starts programs says why one does not start, and leaves none running."""

import signal
import sys
from pathlib import Path

import pytest

from tests import background_server
from tests.background_server import BackgroundServer, answers, logs
from tests.polling import wait_until
from tests.ports import free_port
from tests.processes import runs

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
time.sleep(600)
"""


def program(code: str, log: Path, ready: background_server.Ready, **how: bool) -> BackgroundServer:
    return BackgroundServer([sys.executable, "-c", code], log, ready=ready, environment={}, **how)  # type: ignore[arg-type]


def test_a_program_that_ends_is_reported_with_its_log(tmp_path: Path) -> None:
    code = "print('\\x1b[31mno such setting\\x1b[0m'); raise SystemExit(3)"
    never = answers(f"http://127.0.0.1:{free_port()}")
    with (
        pytest.raises(RuntimeError, match=r"did not start\. Its log ends with:\nno such setting"),
        program(code, tmp_path / "log", never),
    ):
        pass


def test_one_that_is_not_ready_in_time_is_stopped(tmp_path: Path) -> None:
    server = program("import time; time.sleep(600)", tmp_path / "log", logs("ready"))
    server.start()
    with pytest.raises(RuntimeError, match="did not start"):
        server.wait_until_ready(0.2)
    assert server.process.returncode == -signal.SIGTERM


def test_one_that_ignores_the_signal_is_killed_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background_server, "STOP_S", 0.2)
    with program(STUBBORN, tmp_path / "log", logs("\n"), group=True) as server:
        child = int(server.log().split()[1])
        assert runs(child)
    assert server.process.returncode == -signal.SIGKILL
    wait_until(lambda: not runs(child))


def test_a_failing_block_prints_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = "import time; print('what happened', flush=True); time.sleep(600)"
    with pytest.raises(KeyError), program(code, tmp_path / "log", logs("what happened")):
        raise KeyError
    assert "ends with:\nwhat happened" in capsys.readouterr().out
