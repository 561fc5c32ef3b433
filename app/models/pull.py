"""Downloads a model through Ollama. `download_model.sh` calls:

    python3 -m app.models.pull URL version
    python3 -m app.models.pull URL at-least FOUND WANTED
    python3 -m app.models.pull URL capabilities MODEL
    python3 -m app.models.pull URL pull MODEL EXPECTED_BYTES

The exit status is 0 for success and 1 for "no", "not installed" or a failure. Error messages go to
stderr. The module uses the standard library only because it runs before anything is installed.
"""

import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from typing import IO, Any, Protocol

from app.models.catalog import is_new_enough

# Ollama is on this machine or on the local network: never use a proxy.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
ATTEMPTS = 6  # 2, 4, 8, 16 and 32 s apart
NO_NETWORK = ("no such host", "dial tcp", "network is unreachable", "server misbehaving")


def call(url: str, body: dict[str, str] | None = None, timeout: float = 600) -> IO[bytes]:
    """Call Ollama's API: POST if there is a body, else GET.

    Args:
        timeout: seconds without data. It is long because hashing 20 GB takes minutes.

    Raises:
        OSError: Ollama is not reachable or returns an error (`urllib.error.HTTPError`).
    """
    data = None if body is None else json.dumps(body).encode()
    answer: IO[bytes] = OPENER.open(urllib.request.Request(url, data), timeout=timeout)  # noqa: S310
    return answer


def version(url: str) -> None:
    """Print Ollama's version."""
    write(json.load(call(f"{url}/api/version", timeout=5))["version"])


def at_least(_: str, found: str, wanted: str) -> None:
    """Exit with status 1 if version `found` is older than `wanted`."""
    if not is_new_enough(found, wanted):
        raise SystemExit(1)


def capabilities(url: str, model: str) -> None:
    """Print the model's capabilities; exit with status 1 if it is not installed."""
    try:
        write(*json.load(call(f"{url}/api/show", {"model": model})).get("capabilities", []))
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        raise SystemExit(1) from None


class ProgressSink(Protocol):
    """Shows the progress of a download."""

    def update(self, line: dict[str, Any]) -> None:
        """Process one line of Ollama's response."""


class Progress:
    """Prints the progress: one updating line on a terminal, else a line every 30 seconds."""

    def __init__(self, expected: int) -> None:
        """`expected`: bytes of the whole model, used until Ollama has listed all layers."""
        self.expected = expected
        self.layers: dict[str, tuple[int, int]] = {}
        self.begun = time.monotonic()
        self.resumed: int | None = None
        self.shown = 0.0
        self.status = ""

    def update(self, line: dict[str, Any]) -> None:
        """Process one line of Ollama's response."""
        if line.get("total"):
            self.layers[line["digest"]] = (line.get("completed", 0), line["total"])
            self.show()
        elif line["status"] != self.status:
            self.status = line["status"]
            write(f"\r\033[K{self.status}" if sys.stdout.isatty() else self.status)

    def show(self) -> None:
        """Print the progress, at most twice a second on a terminal, else every 30 seconds."""
        done, known = map(sum, zip(*self.layers.values(), strict=True))
        if self.resumed is None:
            self.resumed = done
        now, tty = time.monotonic(), sys.stdout.isatty()
        total = max(known, self.expected)
        if now - self.shown < (0.5 if tty else 30) and done < total:
            return
        self.shown = now
        speed = (done - self.resumed) / max(now - self.begun, 0.1)
        text = (
            f"{done / total:4.0%}  {done / 1e9:.1f} of {total / 1e9:.1f} GB, {speed / 1e6:.0f} MB/s"
        )
        if speed:
            text += f", {(total - done) / speed / 60:.0f} min left"
        write(f"\r\033[K{text}" if tty else text, end="" if tty else "\n")


def pull(
    url: str, model: str, expected: str, progress: Callable[[int], ProgressSink] = Progress
) -> None:
    """Download a model; retry if the connection breaks.

    Args:
        expected: size of the download in bytes.
        progress: called with `expected` for each attempt; the result shows the progress.

    Raises:
        SystemExit: the download failed, with a message for the user.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return pull_once(url, model, progress(int(expected)))
        except (OSError, HTTPException) as error:
            if attempt == ATTEMPTS:
                raise SystemExit(
                    f"The download failed {ATTEMPTS} times, the last time with: {error}. "
                    "Run this again; it resumes where it stopped."
                ) from None
            write(f"\nThe connection broke ({error}). Retrying in {2**attempt} s.")
            time.sleep(2**attempt)
    return None


def pull_once(url: str, model: str, progress: ProgressSink) -> None:
    """Attempt the download once.

    Raises:
        OSError, HTTPException: another attempt may succeed.
        SystemExit: another attempt would fail; with a message for the user.
    """
    try:
        answer = call(f"{url}/api/pull", {"model": model})
    except urllib.error.HTTPError as error:
        reason = json.load(error)["error"]
        raise SystemExit(f"Ollama refuses to download {model}: {reason}") from None
    for raw in answer:
        line = json.loads(raw)
        if "error" in line:
            if sentence := explain_error(url, model, line["error"]):
                raise SystemExit(sentence)
            raise OSError(line["error"])
        progress.update(line)
        if line.get("status") == "success":
            return
    raise OSError("Ollama ended the response early")


def explain_error(url: str, model: str, error: str) -> str:
    """Return a message for the user about Ollama's error; "" if another attempt may succeed."""
    if "manifest" in error and any(text in error for text in NO_NETWORK):
        return (
            f"Ollama at {url} cannot reach its registry, so {model} cannot be downloaded. Connect "
            "that machine to the internet, or run ENGINE=embedded ./quick_start.sh."
        )
    if "manifest" in error and "not exist" in error:
        return f"Ollama's registry has no model {model}. See https://ollama.com/library/qwen3-vl"
    if "newer version" in error:
        return f"{model} needs a newer Ollama. Update it from https://ollama.com/download"
    if "no space" in error:
        return "The disk is full. Free some space and run this again; it resumes where it stopped."
    return ""


def write(*words: str, end: str = "\n") -> None:
    """Print words to stdout and flush it."""
    sys.stdout.write(" ".join(words) + end)
    sys.stdout.flush()


COMMANDS: dict[str, Callable[..., None]] = {
    "version": version,
    "at-least": at_least,
    "capabilities": capabilities,
    "pull": pull,
}


def main(argv: list[str]) -> None:
    """Run a command of `COMMANDS`: `argv` is URL, command and its arguments."""
    url, command, *arguments = argv
    try:
        COMMANDS[command](url, *arguments)
    except OSError as error:
        raise SystemExit(f"Ollama at {url} does not answer: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main(sys.argv[1:])
