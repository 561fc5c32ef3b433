"""run_server.sh: ready, answers, and leaves nothing behind, whatever ends it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.ollama_daemon.install import install
from tests.ollama_daemon.models import store
from tests.ollama_daemon.process import Daemon
from tests.polling import wait_until
from tests.ports import free_port
from tests.scripts.conftest import ROOT, Checkout, ends, session

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")

SOON_S = 20  # less than the drain timeout is by default
EMBEDDED = ROOT / "app" / "embedded" / "__main__.py"


@pytest.fixture
def port() -> str:
    return str(free_port())


def read_until(run: subprocess.Popen[str], start: str) -> None:
    """Read what the run prints, up to the line that starts so."""
    assert run.stdout is not None
    printed = []
    for line in run.stdout:
        printed.append(line)
        if line.startswith(start):
            return
    raise AssertionError(f"it ended without {start!r}: {printed}")


def pid_of(run: subprocess.Popen[str], word: str) -> int:
    """The process of the run's session with `word` among its arguments."""
    (found,) = [
        pid
        for pid in session(run.pid)
        if word in Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        and Path(f"/proc/{pid}/exe").resolve().name != "sh"
    ]
    return found


def with_own_ollama(checkout: Checkout) -> dict[str, str]:
    """An environment in which run_server.sh must start Ollama itself."""
    checkout.command("ollama", f'exec "{install() / "ollama"}" "$@"')
    return {
        "ENGINE": "ollama",
        "OLLAMA_HOST": f"127.0.0.1:{free_port()}",
        "OLLAMA_MODELS": str(store() / "models"),
        "OLLAMA_NOPRUNE": "1",
        "MODEL_NAME": "tiny-vlm",
    }


def test_a_command_runs_when_ready_and_gives_its_status(
    checkout: Checkout, daemon: Daemon, port: str
) -> None:
    environment = {"OLLAMA_HOST": daemon.url, "MODEL_NAME": "tiny-vlm", "PORT": port}
    run = checkout.start(
        *("run_server.sh", "--", "python3", "-c"),
        "import os, sys; print('asked', os.environ['SERVER_URL']); sys.exit(7)",
        **environment,
    )
    output, _ = run.communicate(timeout=120)
    assert run.returncode == 7, output
    assert f"Using the engine at {daemon.url} (version {daemon.version})." in output
    assert output.endswith(f"asked http://127.0.0.1:{port}\n")
    assert ends(run.pid)
    assert daemon.running(), "it ended a daemon that it had not started"


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_server_and_engine(
    checkout: Checkout, daemon: Daemon, port: str, ending: signal.Signals
) -> None:
    run = checkout.start("run_server.sh", PORT=port, **with_own_ollama(checkout))
    read_until(run, f"Ready: http://127.0.0.1:{port}")
    run.send_signal(ending)
    output, _ = run.communicate(timeout=120)
    assert f"Stopping ({ending.name}) ..." in output
    assert run.returncode in (0, 128 + signal.SIGTERM)  # the server's
    assert ends(run.pid)


def test_it_says_that_the_server_ended_by_itself(
    checkout: Checkout, daemon: Daemon, port: str
) -> None:
    run = checkout.start("run_server.sh", PORT=port, **with_own_ollama(checkout))
    read_until(run, f"Ready: http://127.0.0.1:{port}")
    os.kill(pid_of(run, "server.py"), signal.SIGKILL)
    output, _ = run.communicate(timeout=120)
    assert "The server exited with status 137. The end of its log" in output
    assert run.returncode == 137
    assert ends(run.pid)


def ocr(port: str) -> httpx.Response:
    return httpx.post(
        f"http://127.0.0.1:{port}/v1/ocr",
        files={"image": (ROOT / "examples" / "table.png").read_bytes()},
        trust_env=False,
        timeout=120,
    )


def ready(port: str) -> int:
    return httpx.get(f"http://127.0.0.1:{port}/ready", trust_env=False).status_code


def await_ready(port: str, status: int = 200) -> None:
    wait_until(lambda: ready(port) == status)


@pytest.mark.parametrize(("engine", "word"), [("ollama", "serve"), ("embedded", "app.embedded")])
def test_a_lost_engine_is_started_again(
    checkout: Checkout, daemon: Daemon, port: str, engine: str, word: str
) -> None:
    """The server stays up and answers the next request, with the same engine's address."""
    environment = {"ENGINE": "embedded"} if engine == "embedded" else with_own_ollama(checkout)
    run = checkout.start("run_server.sh", PORT=port, **environment)
    read_until(run, f"Ready: http://127.0.0.1:{port}")
    assert ocr(port).status_code == 200
    for _ in range(2):
        server, lost = pid_of(run, "server.py"), pid_of(run, word)
        os.kill(lost, signal.SIGKILL)
        read_until(run, "The engine exited with status 137. It is restarted in ")
        assert httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code == 200
        await_ready(port)
        answer = ocr(port)
        assert answer.status_code == 200, answer.text
        assert pid_of(run, "server.py") == server
        assert pid_of(run, word) != lost
        # The runners that Ollama had started have ended with it.
        assert lost not in map(os.getpgid, session(run.pid))
    run.terminate()
    run.communicate(timeout=120)
    assert ends(run.pid)


def test_an_engine_that_ends_again_and_again(checkout: Checkout, daemon: Daemon, port: str) -> None:
    """The pause doubles; `/ready` tells; the server is there when the engine is again."""
    environment = with_own_ollama(checkout)
    broken = checkout.folder / "broken"
    ollama = install() / "ollama"
    checkout.command("ollama", f'[ ! -e "{broken}" ] || exit 3\nexec "{ollama}" "$@"')
    run = checkout.start("run_server.sh", PORT=port, **environment)
    read_until(run, f"Ready: http://127.0.0.1:{port}")
    broken.touch()
    os.kill(pid_of(run, "serve"), signal.SIGKILL)
    read_until(run, "The engine exited with status 137. It is restarted in 1 s")
    read_until(run, "The engine exited with status 3. It is restarted in 2 s")
    read_until(run, "The engine exited with status 3. It is restarted in 4 s")
    await_ready(port, 503)
    assert ocr(port).status_code == 503
    broken.unlink()
    await_ready(port)
    broken.touch()
    os.kill(pid_of(run, "serve"), signal.SIGKILL)
    read_until(run, "The engine exited with status 137. It is restarted in 8 s")
    run.terminate()  # while there is no engine
    run.communicate(timeout=120)
    assert ends(run.pid)


@pytest.mark.parametrize("word", ["serve", "server.py"])
def test_what_ignores_a_signal_is_killed(
    checkout: Checkout, daemon: Daemon, port: str, word: str
) -> None:
    """Within DRAIN_TIMEOUT_S + 2 s, and what a busy machine takes."""
    environment = with_own_ollama(checkout) | {"DRAIN_TIMEOUT_S": "2"}
    run = checkout.start("run_server.sh", PORT=port, **environment)
    read_until(run, f"Ready: http://127.0.0.1:{port}")
    os.kill(pid_of(run, word), signal.SIGSTOP)
    begun = time.monotonic()
    run.terminate()
    run.communicate(timeout=120)
    assert time.monotonic() - begun < SOON_S
    assert ends(run.pid)


def test_the_drain_timeout_of_the_file(checkout: Checkout, daemon: Daemon, port: str) -> None:
    (checkout.folder / ".env").write_text("DRAIN_TIMEOUT_S=0.5\n")
    run = checkout.start("run_server.sh", PORT=port, **with_own_ollama(checkout))
    read_until(run, f"Ready: http://127.0.0.1:{port}")
    os.kill(pid_of(run, "server.py"), signal.SIGSTOP)
    begun = time.monotonic()
    run.terminate()
    run.communicate(timeout=120)
    assert time.monotonic() - begun < SOON_S
    assert ends(run.pid)


def test_a_signal_while_the_engine_starts(checkout: Checkout, port: str) -> None:
    checkout.command("ollama", "exec sleep 60")
    environment = {"ENGINE": "ollama", "OLLAMA_HOST": f"127.0.0.1:{free_port()}"}
    run = checkout.start("run_server.sh", PORT=port, **environment)
    read_until(run, "Starting the ollama engine at ")
    run.terminate()
    run.communicate(timeout=120)
    assert run.returncode == 128 + signal.SIGTERM
    assert ends(run.pid)


def test_another_servers_embedded_engine_is_left_alone(checkout: Checkout, port: str) -> None:
    """Each of two servers has its own: one ends, and the other still answers."""
    environment = {"ENGINE": "embedded"}
    other_port = str(free_port())
    other = checkout.start("run_server.sh", PORT=other_port, **environment)
    read_until(other, f"Ready: http://127.0.0.1:{other_port}")
    run = checkout.start("run_server.sh", PORT=port, **environment)
    read_until(run, "Starting the embedded engine at ")
    read_until(run, f"Ready: http://127.0.0.1:{port}")
    other.terminate()
    other.communicate(timeout=120)
    assert ready(port) == 200
    assert ocr(port).status_code == 200
    run.terminate()
    run.communicate(timeout=120)
    assert ends(run.pid)


def test_a_missing_model_stops_a_command_at_once(
    checkout: Checkout, daemon: Daemon, port: str
) -> None:
    started = time.monotonic()
    done = checkout.run(
        *("run_server.sh", "--", "true"),
        OLLAMA_HOST=daemon.url,
        MODEL_NAME="nope",
        PORT=port,
    )
    assert done.returncode == 1
    assert "Not ready: " in done.stdout
    assert "nope" in done.stdout
    assert time.monotonic() - started < 100


def test_a_server_that_is_not_ready_in_time_ends(
    checkout: Checkout, daemon: Daemon, port: str
) -> None:
    settings = {"OLLAMA_HOST": daemon.url, "MODEL_NAME": "nope", "PORT": port}
    done = checkout.run("run_server.sh", READY_TIMEOUT_S="20", **settings)
    assert done.returncode == 1
    assert "nope" in done.stdout


def test_a_taken_port(checkout: Checkout, daemon: Daemon) -> None:
    done = checkout.run("run_server.sh", OLLAMA_HOST=daemon.url, PORT=str(daemon.port))
    assert done.returncode == 1
    assert f"Port {daemon.port} on 127.0.0.1 cannot be used." in done.stderr


def test_no_engine(checkout: Checkout, port: str) -> None:
    host = f"127.0.0.1:{free_port()}"
    done = checkout.run("run_server.sh", ENGINE="ollama", OLLAMA_HOST=host, PORT=port)
    assert done.returncode == 1
    assert done.stderr.startswith(f"No Ollama answers at http://{host}")


def test_no_packages(checkout: Checkout) -> None:
    (checkout.folder / ".venv" / "bin" / "python").unlink()
    done = checkout.run("run_server.sh")
    assert done.returncode == 1
    assert done.stderr == "The server's packages are not installed. Run ./quick_start.sh once.\n"


def test_the_engine_is_where_ollama_host_says(checkout: Checkout) -> None:
    done = checkout.run("run_server.sh", "--engine-url", OLLAMA_HOST="[::1]")
    assert done.stdout == "http://[::1]:11434\n"
    assert checkout.run("run_server.sh", "--engine-url").stdout == "http://127.0.0.1:11434\n"


def test_settings_from_the_file(checkout: Checkout) -> None:
    (checkout.folder / ".env").write_text(
        'MODEL_NAME="qwen3-vl:8b"\nexport PORT=9 # ours\nOLLAMA_HOST = box\r\n'
    )
    for name, value in {"MODEL_NAME": "qwen3-vl:8b", "PORT": "9", "HOST": "none"}.items():
        assert checkout.run("run_server.sh", "--setting", name, "none").stdout == f"{value}\n"
    assert checkout.run("run_server.sh", "--setting", "PORT", "", PORT="1").stdout == "1\n"
    assert checkout.run("run_server.sh", "--engine-url").stdout == "http://box:11434\n"


@pytest.mark.skipif(not EMBEDDED.exists(), reason="app/embedded has no __main__.py")
def test_the_embedded_engine(checkout: Checkout, port: str) -> None:
    (checkout.folder / ".cache").mkdir()
    (checkout.folder / ".cache" / "engine").write_text("embedded\n")
    run = checkout.start("run_server.sh", PORT=port)
    read_until(run, "Starting the embedded engine at ")
    read_until(run, f"Ready: http://127.0.0.1:{port}")
    answer = ocr(port).json()
    assert answer["model"] == "embedded"
    assert answer["text"]
    run.terminate()
    run.communicate(timeout=120)
    assert ends(run.pid)


def test_naming_an_engine_or_a_model_outweighs_what_is_remembered(
    checkout: Checkout, daemon: Daemon, port: str
) -> None:
    (checkout.folder / ".cache").mkdir()
    (checkout.folder / ".cache" / "engine").write_text("embedded\n")
    (checkout.folder / ".env").write_text(f"OLLAMA_HOST={daemon.url}\nMODEL_NAME=tiny-vlm\n")
    done = checkout.run("run_server.sh", "--", "true", PORT=port)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Using the engine at {daemon.url}" in done.stdout
