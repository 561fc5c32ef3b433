"""The examples for HAProxy and nginx, with the real ones in front of the running server."""

import io
import itertools
import os
import re
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from PIL import Image

from app.settings import Settings
from tests.background_server import BackgroundServer, answers
from tests.deploy.environment import debian
from tests.fake_ollama.script import HANG, begins, says
from tests.fake_ollama.server import FakeOllama
from tests.inference_server import REPO, Server
from tests.pictures import encoded, scene
from tests.polling import wait_until
from tests.ports import free_port

PACE_S = 0.05
PICTURE = {"image": encoded(scene(160, 120))}
NDJSON = {"Accept": "application/x-ndjson"}
# Which the unpacked package has not made.
USERS = re.compile(r"^ *(user|group) haproxy$\n", re.M)
NGINX = """\
{user}
daemon off;
pid {folder}/pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    {temporary}
    include {folder}/site.conf;
}}
"""
TEMPORARY = "client_body proxy fastcgi uwsgi scgi"


@pytest.fixture(scope="module")
def fake_ollama() -> Iterator[FakeOllama]:
    with FakeOllama() as fake_ollama:
        yield fake_ollama


@pytest.fixture(scope="module")
def server(fake_ollama: FakeOllama, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {"OLLAMA_HOST": fake_ollama.url, "MODEL_NAME": "fake-vlm", "CACHE_MB": "0"}
    with Server(tmp_path_factory.mktemp("proxies") / "log", **settings) as server:
        yield server


@dataclass(frozen=True)
class Command:
    """How a proxy is started, and what makes it only check its file."""

    words: list[str | Path]
    environment: Mapping[str, str]
    check: str


def haproxy(folder: Path, server: Server, port: int) -> Command:
    program = debian("haproxy")
    text = USERS.sub("", (REPO / "deploy" / "haproxy.cfg").read_text())
    text = replaced(text, "bind :80\n", f"bind 127.0.0.1:{port}\n")
    text = replaced(text, "gpu0 127.0.0.1:8000", f"gpu0 127.0.0.1:{server.port}")
    (folder / "haproxy.cfg").write_text(text)
    words: list[str | Path] = [program.path, "-db", "-f", folder / "haproxy.cfg"]
    return Command(words, program.environment, check="-c")


def nginx(folder: Path, server: Server, port: int) -> Command:
    program = debian("nginx")
    text = (REPO / "deploy" / "nginx.conf").read_text()
    text = replaced(text, "listen 80;", f"listen 127.0.0.1:{port};")
    text = replaced(text, "server 127.0.0.1:8000 ", f"server 127.0.0.1:{server.port} ")
    (folder / "site.conf").write_text(text)
    temporary = [f"{name}_temp_path {folder}/{name};" for name in TEMPORARY.split()]
    user = "user root;" if os.getuid() == 0 else ""  # of the workers
    main = NGINX.format(user=user, folder=folder, temporary=" ".join(temporary))
    (conf := folder / "nginx.conf").write_text(main)
    words: list[str | Path] = [program.path, "-p", folder, "-e", "stderr", "-c", conf]
    return Command(words, program.environment, check="-t")


def replaced(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


Proxy = Callable[[Path, Server, int], Command]


@contextmanager
def started(proxy: Proxy, folder: Path, server: Server) -> Iterator[str]:
    """The URL of the proxy before the server; its file has neither errors nor warnings."""
    port = free_port()
    command = proxy(folder, server, port)
    checked = subprocess.run(
        [*command.words, command.check],
        env=command.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0 and "warn" not in checked.stderr.lower(), checked.stderr
    url = f"http://127.0.0.1:{port}"
    with BackgroundServer(
        command.words,
        folder / "log",
        ready=answers(f"{url}/ready", 200),
        environment=command.environment,
    ):
        yield url


@pytest.fixture(scope="module", params=[haproxy, nginx], ids=["haproxy", "nginx"])
def proxy(request: pytest.FixtureRequest) -> Proxy:
    chosen: Proxy = request.param
    return chosen


@pytest.fixture(scope="module")
def front(proxy: Proxy, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with started(proxy, tmp_path_factory.mktemp("front"), server) as url:
        yield url


@pytest.fixture(autouse=True)
def healthy(fake_ollama: FakeOllama) -> None:
    fake_ollama.reset()


def status(url: str, path: str = "/ready") -> int:
    try:
        return httpx.get(f"{url}{path}", trust_env=False, timeout=120).status_code
    except httpx.TransportError:
        return 0


def test_chunks_come_one_by_one(front: str, fake_ollama: FakeOllama) -> None:
    fake_ollama.play(says(" ".join(f"word{number}" for number in range(30)), pace_s=PACE_S))
    with httpx.Client(trust_env=False) as client:
        form = {"files": PICTURE, "data": {"stream": "true"}, "headers": NDJSON}
        with client.stream("POST", f"{front}/v1/describe", **form) as response:  # type: ignore[arg-type]
            arrived = [time.monotonic() for line in response.iter_lines() if '"delta"' in line]
    gaps = sorted(later - earlier for earlier, later in itertools.pairwise(arrived))
    p50, p95 = statistics.median(gaps), gaps[int(len(gaps) * 0.95)]
    print(f"{len(arrived)} chunks, gaps p50 {p50 * 1e3:.1f} ms, p95 {p95 * 1e3:.1f} ms")
    assert len(arrived) >= 25
    assert p50 > 0.5 * PACE_S, "they were held back, and came together"


@pytest.mark.parametrize("stream", ["true", "false"])
def test_who_leaves_frees_the_model(front: str, fake_ollama: FakeOllama, stream: str) -> None:
    fake_ollama.play(begins("one two three", *HANG) if stream == "true" else HANG)
    wait_until(lambda: fake_ollama.counts.running == 0)  # another test's has been left a moment ago
    chats, before = fake_ollama.counts.chats, fake_ollama.counts.cancelled
    data = {"stream": stream}
    with httpx.Client(trust_env=False, timeout=httpx.Timeout(5, read=8)) as client:
        try:
            form = {"files": PICTURE, "data": data, "headers": NDJSON}
            with client.stream("POST", f"{front}/v1/describe", **form) as response:  # type: ignore[arg-type]
                for line in response.iter_lines():
                    if "two" in line:
                        break
        except httpx.ReadTimeout:
            assert stream == "false"
    assert fake_ollama.counts.chats == chats + 1
    took = wait_until(lambda: fake_ollama.counts.cancelled > before)
    print(f"cancelled upstream {took * 1e3:.0f} ms after the client had left")


def test_a_large_upload_passes_and_a_larger_one_is_told(front: str) -> None:
    picture = io.BytesIO()
    Image.effect_noise((2300, 2200), 80).convert("RGB").save(picture, "BMP")
    assert 15e6 < len(picture.getvalue()) < 16e6
    started = time.monotonic()
    files = {"image": picture.getvalue()}
    answer = httpx.post(f"{front}/v1/describe", files=files, trust_env=False, timeout=120)
    assert answer.status_code == 200, answer.text
    print(f"15 MB in {time.monotonic() - started:.2f} s")
    over = httpx.post(f"{front}/v1/describe", files={"image": bytes(21_000_000)}, trust_env=False)
    assert over.status_code == 413
    assert over.json()["code"] == "body_too_large"
    far = httpx.post(f"{front}/v1/describe", files={"image": bytes(27_000_000)}, trust_env=False)
    assert far.status_code == 413


def test_health_and_what_is_not_for_the_world(front: str) -> None:
    assert status(front, "/health") == status(front, "/ready") == 200
    assert status(front, "/metrics") == 403


def test_the_request_id_goes_through(front: str, server: Server) -> None:
    own = httpx.get(f"{front}/v1/status", headers={"X-Request-ID": "mine-1"}, trust_env=False)
    assert own.headers["x-request-id"] == "mine-1"
    wait_until(lambda: "mine-1" in server.log())
    made = httpx.get(f"{front}/v1/status", trust_env=False).headers["x-request-id"]
    assert len(made) >= 32 and not made.startswith("req_")


def test_a_client_has_its_own_address(
    proxy: Proxy, fake_ollama: FakeOllama, tmp_path: Path
) -> None:
    """Each has its own limit, and what it claims to be does not count."""
    settings = {"OLLAMA_HOST": fake_ollama.url, "MODEL_NAME": "fake-vlm", "RATE_LIMIT": "2/minute"}
    settings["FORWARDED_ALLOW_IPS"] = "127.0.0.1"
    with (
        Server(tmp_path / "server.log", **settings) as limited,
        started(proxy, tmp_path, limited) as url,
    ):
        assert [asked_from(url, "127.0.0.2", number) for number in range(3)] == [200, 200, 429]
        assert asked_from(url, "127.0.0.3", 0) == 200


def asked_from(url: str, address: str, number: int) -> int:
    transport = httpx.HTTPTransport(local_address=address)
    claim = {"X-Forwarded-For": f"198.51.100.{number}"}
    with httpx.Client(transport=transport, trust_env=False, timeout=120) as client:
        return client.post(f"{url}/v1/describe", files=PICTURE, headers=claim).status_code


def test_haproxy_leaves_out_who_is_not_ready(
    server: Server, fake_ollama: FakeOllama, tmp_path: Path
) -> None:
    """nginx has no checks of its own; what is seen through it is the server's 503."""
    with started(haproxy, tmp_path, server) as url:
        fake_ollama.stop()
        try:
            took = wait_until(lambda: "No server is available" in told(url))
            print(f"left out after {took:.1f} s")
        finally:
            fake_ollama.start()
        wait_until(lambda: status(url) == 200)


def told(url: str) -> str:
    return httpx.get(f"{url}/ready", trust_env=False).text


def test_they_wait_longer_and_take_more_than_the_server() -> None:
    """So that who refuses or gives up is the server, which says why."""
    read = {name: (REPO / "deploy" / name).read_text() for name in ("haproxy.cfg", "nginx.conf")}
    waits = re.findall(r"timeout (?:client|server) +(\d+)s", read["haproxy.cfg"])
    waits += re.findall(r"proxy_(?:read|send)_timeout (\d+)s", read["nginx.conf"])
    assert len(waits) == 4
    assert min(map(float, waits)) > Settings.model_fields["request_timeout_s"].default
    (most,) = re.findall(r"content-length\),sub\((\d+)\)", read["haproxy.cfg"])
    (most_mb,) = re.findall(r"client_max_body_size (\d+)m", read["nginx.conf"])
    taken = Settings.model_fields["max_body_mb"].default * 1e6
    assert min(float(most), float(most_mb) * 2**20) > taken
