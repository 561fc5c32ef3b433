"""Addresses that lead inside, sent to a running server that fetches: nothing is ever asked."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.fake_ollama.server import FakeOllama
from tests.inference_server import Server

TRICKS = """
http://127.0.0.1:{port}/
http://127.0.0.2:{port}/
http://127.255.255.254:{port}/
http://127.1:{port}/
http://127.0.1:{port}/
http://0:{port}/
http://0.0.0.0:{port}/
http://2130706433:{port}/
http://0x7f000001:{port}/
http://0x7f.0.0.1:{port}/
http://0x7f.1:{port}/
http://017700000001:{port}/
http://0177.0.0.1:{port}/
http://0177.0.0.01:{port}/
http://127.0.0.1.:{port}/
http://localhost:{port}/
http://LOCALHOST:{port}/
http://localhost.:{port}/
http://localhost.localdomain:{port}/
http://ip6-localhost:{port}/
http://[::1]:{port}/
http://[0:0:0:0:0:0:0:1]:{port}/
http://[0000:0000:0000:0000:0000:0000:0000:0001]:{port}/
http://[::]:{port}/
http://[::ffff:127.0.0.1]:{port}/
http://[::ffff:7f00:1]:{port}/
http://[::ffff:169.254.169.254]:{port}/
http://[::127.0.0.1]:{port}/
http://[::ffff:0:127.0.0.1]:{port}/
http://[64:ff9b::127.0.0.1]:{port}/
http://[2002:7f00:1::]:{port}/
http://[fe80::1%25lo]:{port}/
http://[fd00:ec2::254]/latest/meta-data/
http://169.254.169.254/latest/meta-data/
http://169.254.169.254./latest/meta-data/
http://2852039166/latest/meta-data/
http://0xa9fea9fe/latest/meta-data/
http://0251.0376.0251.0376/latest/meta-data/
http://169.254.43518/latest/meta-data/
http://100.100.100.200/latest/meta-data/
http://metadata.google.internal/computeMetadata/v1/
http://10.0.0.1/
http://172.16.0.1/
http://192.168.0.1/
http://100.64.0.1/
http://user:secret@127.0.0.1:{port}/
http://example.com@127.0.0.1:{port}/
http://127.0.0.1:{port}#@example.com/
http://127.0.0.1:{port}?@example.com/
http://example.com\\@127.0.0.1:{port}/
http://①②⑦.⓪.⓪.①:{port}/
http://127。0。0。1:{port}/
http://ⓛocalhost:{port}/
http:///127.0.0.1:{port}/
http://
https://127.0.0.1:{port}/
file:///etc/passwd
ftp://127.0.0.1:{port}/
gopher://127.0.0.1:{port}/_GET
dict://127.0.0.1:{port}/
unix:///var/run/docker.sock
HTTP://127.0.0.1:{port}/
 http://127.0.0.1:{port}/
http://127.0.0.1:{port}/\r\nHost: example.com
""".strip("\n").splitlines()


class Trap:
    """Counts who connects, on a port of all loopback addresses."""

    def __init__(self) -> None:
        self.caught: list[str] = []
        self._socket = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        self._socket.settimeout(0.1)
        self.port = self._socket.getsockname()[1]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while not self._over.is_set():
            try:
                connection, address = self._socket.accept()
            except TimeoutError:
                continue
            self.caught.append(str(address))
            connection.close()

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()


@pytest.fixture
def trap() -> Iterator[Trap]:
    trap = Trap()
    yield trap
    trap.close()


def test_nothing_inside_is_ever_asked(trap: Trap, tmp_path: Path) -> None:
    """Also not through OpenAI's API."""
    assert len(TRICKS) >= 40
    with (
        FakeOllama() as fake_ollama,
        Server(
            tmp_path / "log",
            OLLAMA_HOST=fake_ollama.url,
            MODEL_NAME="fake-vlm",
            NUM_CTX="8192",
            ALLOW_URL_FETCH="true",
        ) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=120) as client,
    ):
        for trick in TRICKS:
            url = trick.format(port=trap.port)
            part = {"type": "image_url", "image_url": {"url": url}}
            body = {"messages": [{"role": "user", "content": [part]}]}
            for path, sent in (
                ("/v1/describe", {"image": url}),
                ("/v1/chat/completions", body),
            ):
                answer = client.post(path, content=json.dumps(sent))
                assert answer.status_code in (400, 403, 415, 422), (url, answer.text)
        assert fake_ollama.counts.chats == 0
    assert trap.caught == []
    print(f"{len(TRICKS)} addresses: none was fetched")
