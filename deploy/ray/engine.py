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

from app.engine.client import OllamaClient
from app.errors import Problem
from app.models.catalog import resolve
from app.settings import Settings

START_S = 60.0
STOP_S = 10.0
LOGS = Path(__file__).parents[2] / ".cache" / "logs"  # the folder of run_server.sh, too
EXIT_WITH_PARENT = Path(__file__).with_name("exit_with_parent.py")


class Engine:
    """The engine process. It ends with `stop`, or with this process, even by SIGKILL.

    It stays in the process group of the replica, so that Ray's cleanup includes the engine and its
    runners. In a session of its own it would hold GPU memory while the next replica starts on the
    same GPU.
    """

    def __init__(self, command: str, settings: Settings) -> None:
        """`{port}` in the command is substituted; OLLAMA_HOST holds the port, too."""
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = shlex.split(command.replace("{port}", str(self.port)))
        self._environment = {
            # Needed for an 8-bit cache, which holds twice the context (KV_CACHE_TYPE).
            "OLLAMA_FLASH_ATTENTION": "1",
            **os.environ,  # includes CUDA_VISIBLE_DEVICES, set by Ray
            "OLLAMA_HOST": f"127.0.0.1:{self.port}",
            "OLLAMA_NUM_PARALLEL": str(settings.num_parallel),
            "OLLAMA_KV_CACHE_TYPE": settings.kv_cache_type,
        }
        self._model = settings.model_name
        LOGS.mkdir(parents=True, exist_ok=True)
        self.log = LOGS / f"engine-{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._ollama = OllamaClient(self.url)

    async def start(self, ended: Callable[[], None]) -> None:
        """Start the engine and wait until it answers and has the model.

        Args:
            ended: called in a thread if the engine exits by itself.

        Raises:
            RuntimeError: it does not start or does not have the model; the text says what to do.
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
            node = f"on {socket.gethostname()}"
            reason = getattr(error, "detail", str(error))
            raise RuntimeError(f"The engine cannot serve {node}: {reason}") from error
        threading.Thread(target=self._watch, args=(process, ended), daemon=True).start()

    async def check(self) -> None:
        """Raises RuntimeError if the engine has exited, Problem if it does not answer."""
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError("The engine has exited.")
        await self._ollama.version()

    async def stop(self) -> None:
        """Stop the engine and remove its log, which is kept if it exited by itself. Idempotent."""
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
                raise RuntimeError(f"`{command}` exited with status {process.returncode}:\n{end}")
            try:
                await self._ollama.version()
                return
            except Problem:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.05)

    def _watch(self, process: subprocess.Popen[bytes], ended: Callable[[], None]) -> None:
        process.wait()
        if self._process is process:  # else `stop` was called
            ended()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
