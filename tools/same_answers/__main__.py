"""Compare the answers of the working tree with those of a commit.

Prints a diff for each request whose answers differ, and exits with 1 if there are any.
"""

import argparse
import contextlib
import difflib
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx

from tests.background_server import REPO
from tools.same_answers.engines import DAEMON, HELD_S, HOLD, Setup, sets
from tools.same_answers.normalize import Answer, Improved, log_lines, normalize
from tools.same_answers.request_set import SMALL, Before, Sent, form
from tools.same_answers.servers import Server, checkout, servers

IMPROVED = Path(__file__).with_name("improved.txt")
TIMEOUT_S = 300.0
RECOVERY_S = 20.0
MOST_LINES = 24  # of one diff
LONGEST = 240  # characters of a line


def main() -> int:
    """Compare all sets; return the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the worktree is removed then, too
    options = _options()
    improved = Improved.read(options.improved)
    chosen = {name: one for name, one in sets(options.embedded).items() if options.only in name}
    if DAEMON not in sets(False):
        print("real daemon: skipped, it is not installed (python -m tests.ollama_daemon.install)")
    with checkout(options.against) as old:
        seen, differing = 0, 0
        for name, start in chosen.items():
            with start() as setup:
                count, diffs = compare((old, REPO), setup, improved)
            print(f"{name}: {count} requests, {len(diffs)} differ", flush=True)
            print("\n".join(diffs), end="\n" if diffs else "", flush=True)
            seen, differing = seen + count, differing + len(diffs)
    for sentence in improved.unused() if not options.only else ():
        print(f"unused in {options.improved.name}: {sentence}")
    print(f"{seen} requests, {differing} differ from {options.against}")
    return int(differing > 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tools.same_answers", description=__doc__)
    add = parser.add_argument
    add("--against", required=True, metavar="COMMIT", help="the commit to compare with")
    add("--embedded", action="store_true", help="also compare in front of the embedded engine")
    add("--only", default="", metavar="NAME", help="only the sets whose name contains this")
    add(
        "--improved",
        type=Path,
        default=IMPROVED,
        metavar="FILE",
        help="allowed changes of wording, as lines `- old` and `+ new` (default: %(default)s)",
    )
    return parser.parse_args()


def compare(
    checkouts: tuple[Path, Path], setup: Setup, improved: Improved
) -> tuple[int, list[str]]:
    """Return the number of requests, and a diff for each whose answers differ."""
    diffs = []
    with tempfile.TemporaryDirectory() as folder:
        with servers(checkouts, Path(folder), setup.settings) as both:
            for at, sent in enumerate(setup.requests):
                old, new = (ask(server, sent, setup, f"request-{at}") for server in both)
                diffs += difference(sent.name, improved.applied(old), new)
        logs = [log_lines(server.log()) for server in both]  # complete, as the servers have ended
    for at, sent in enumerate(setup.requests):
        old_log, new_log = (log.get(f"request-{at}", "") for log in logs)
        old_log = improved.applied_to(old_log)
        if old_log != new_log:
            diffs.append(diff(f"{sent.name}: log", old_log.split(","), new_log.split(",")))
    return len(setup.requests), diffs


def ask(server: Server, sent: Sent, setup: Setup, request_id: str) -> Answer:
    """Send one request to one server, and normalize its answer."""
    if setup.recovers:
        _wait_until_healthy(server)
    setup.received()  # forget those of other requests
    with httpx.Client(trust_env=False, timeout=TIMEOUT_S) as client:
        request = sent.request("http://server.test")
        request.url = request.url.copy_with(netloc=server.url.partition("//")[2].encode())
        request.headers.setdefault("X-Request-ID", request_id)
        with sent.engine(), _before(server, sent.before):
            try:
                response = client.send(request)
                body = response.read()
            except httpx.HTTPError as error:
                return Answer(0, (), f"{type(error).__name__}: {error}")
    return normalize(
        response.status_code,
        response.headers.multi_items(),
        body,
        setup.received(),
        keep_queued=sent.before is not Before.NOTHING,
    )


@contextlib.contextmanager
def _before(server: Server, before: Before) -> Iterator[None]:
    """Keep the slot of the engine taken, where the request needs that."""
    if before is Before.NOTHING:
        yield
        return
    request = form("describe", "", SMALL, prompt=HOLD, stream="true").request(server.url)
    started = threading.Event()

    def hold() -> None:
        with (
            httpx.Client(trust_env=False, timeout=TIMEOUT_S) as client,
            contextlib.suppress(httpx.HTTPError),
        ):
            response = client.send(request, stream=True)
            for _ in response.iter_bytes():  # the first event is sent before the engine is called
                started.set()

    thread = threading.Thread(target=hold)
    thread.start()
    started.wait(TIMEOUT_S)
    time.sleep(HELD_S / 10)
    if before is Before.DRAIN:
        server.process.terminate()
        time.sleep(HELD_S / 10)
    try:
        yield
    finally:
        thread.join()


def _wait_until_healthy(server: Server) -> None:
    """Send requests until one succeeds: a fault of the engine is over then."""
    request = form("describe", "", SMALL).request(server.url)
    deadline = time.monotonic() + RECOVERY_S
    with httpx.Client(trust_env=False, timeout=TIMEOUT_S) as client:
        while client.send(request).status_code != 200 and time.monotonic() < deadline:
            time.sleep(0.1)


def difference(name: str, old: Answer, new: Answer) -> list[str]:
    """Return a diff, or nothing where the answers are equal."""
    if old == new:
        return []
    return [diff(name, list(_lines(old)), list(_lines(new)))]


def _lines(answer: Answer) -> Iterator[str]:
    """An answer as lines, with JSON spread over several, so that a diff is short."""
    yield f"status {answer.status}"
    yield from (f"{name}: {value}" for name, value in answer.headers)
    for line in answer.body.splitlines():
        yield from _spread(line)
    for body in answer.engine_requests:
        yield "request to the engine:"
        yield from _spread(body)


def _spread(line: str) -> Iterable[str]:
    """Split JSON into lines, also after `data: `; leave any other line."""
    head, found, rest = line.partition("{")
    if not found or head not in ("", "data: "):
        return [line]
    quoted = rest.replace(":<time>", ':"<time>"')
    try:
        told = json.loads("{" + quoted)
    except ValueError:
        return [line]
    return (head + json.dumps(told, ensure_ascii=False, indent=1)).splitlines()


def diff(name: str, old: list[str], new: list[str]) -> str:
    """Format the lines that differ, each cut to `LONGEST` characters."""
    found = [
        line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."
        for line in difflib.unified_diff(old, new, lineterm="", n=0)
        if not line.startswith(("---", "+++", "@@"))
    ]
    more = [f"... and {len(found) - MOST_LINES} more lines"] if len(found) > MOST_LINES else []
    found = found or ["(the same but for white space or escapes)"]
    return "\n".join([f"\n  {name}", *(f"    {one}" for one in found[:MOST_LINES] + more)])


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)  # git has printed the reason
