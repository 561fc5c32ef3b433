"""The engine of one replica: a child process on a loopback port of its own."""

import asyncio
import os
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from app.engine.ollama import Ollama
from app.errors import Problem
from app.models.catalog import resolve
from app.settings import Settings

START_S = 60.0
STOP_S = 10.0
LOGS = Path(__file__).parents[2] / ".cache" / "logs"  # where run_server.sh has its own
EXIT_WITH_PARENT = Path(__file__).with_name("exit_with_parent.py")


class Engine:
    """Starts with `start`, ends with `stop`, or with this process, however that ends.

    It stays in the process group of the replica: what Ray cleans up then includes it and the
    runners below it. In a session of its own it would keep the GPU's memory while the next replica
    starts on the same GPU.
    """

    def __init__(self, command: str, settings: Settings) -> None:
        """`{port}` in the command is replaced; OLLAMA_HOST says it, too."""
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = shlex.split(command.replace("{port}", str(self.port)))
        self._environment = {
            # A cache of 8 bits holds twice the context; that is planned with KV_CACHE_TYPE.
            "OLLAMA_FLASH_ATTENTION": "1",
            **os.environ,  # with the CUDA_VISIBLE_DEVICES that Ray gave
            "OLLAMA_HOST": f"127.0.0.1:{self.port}",
            "OLLAMA_NUM_PARALLEL": str(settings.num_parallel),
            "OLLAMA_KV_CACHE_TYPE": settings.kv_cache_type,
        }
        self._model = settings.model_name
        LOGS.mkdir(parents=True, exist_ok=True)
        self.log = LOGS / f"engine-{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._ollama = Ollama(self.url)

    async def start(self, ended: Callable[[], None]) -> None:
        """Until it answers and has the model; `ended` is called in a thread if it ends by itself.

        Raises:
            RuntimeError: it does not start, or has not the model; says what to do.
        """
        command = [
            sys.executable,
            "-S",
            "-E",
            str(EXIT_WITH_PARENT),
            str(os.getpid()),
            *self._command,
        ]
        with self.log.open("wb") as log:
            self._process = process = subprocess.Popen(  # noqa: S603, ASYNC220 - a millisecond
                command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            await self._await_answer(process)
            await self._ollama.show(resolve(self._model)[0])
        except (Problem, RuntimeError) as error:
            await self.stop()
            where = f"on {socket.gethostname()}"
            told = getattr(error, "detail", str(error))
            raise RuntimeError(f"The engine cannot serve {where}: {told}") from error
        threading.Thread(target=self._watch, args=(process, ended), daemon=True).start()

    async def check(self) -> None:
        """Raises RuntimeError where it has ended, a Problem where it does not answer."""
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError("The engine has ended.")
        await self._ollama.version()

    async def stop(self) -> None:
        """With its log, which is of use where it ended by itself. Does nothing a second time."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            self.log.unlink(missing_ok=True)
        try:
            await asyncio.to_thread(process.wait, STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
        await self._ollama.aclose()

    async def _await_answer(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_S
        while True:
            if process.poll() is not None:
                end = self.log.read_text(errors="replace")[-1000:]
                command = shlex.join(self._command)
                raise RuntimeError(f"`{command}` ended with {process.returncode}:\n{end}")
            try:
                await self._ollama.version()
                return
            except Problem:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.05)

    def _watch(self, process: subprocess.Popen[bytes], ended: Callable[[], None]) -> None:
        process.wait()
        if self._process is process:  # else it was asked to
            ended()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
