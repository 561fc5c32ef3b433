"""Run a task on very many files with a Ray cluster; the same command resumes it.

    RAY_ADDRESS=HEAD:6379 SERVER_URL=http://HEAD:8000 python -m deploy.ray.bulk ocr LIST OUT

LIST holds one path per line. LIST, its files and the folder OUT must be on storage that all nodes
share. Each shard is a run of `python -m app batch`, which writes one line of JSON per file to
OUT/00000.jsonl. Further options, such as `--language ko`, are passed to that command. A finished
shard has OUT/00000.done; an interrupted one is resumed.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import ray
import ray.data

from deploy.ray import REPO


def main() -> None:
    """Divide the list into shards, and run them on all nodes."""
    parser = argparse.ArgumentParser(prog="python -m deploy.ray.bulk", description=__doc__)
    parser.add_argument("task")
    parser.add_argument("list", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--shard", type=int, default=500, help="files per shard (500)")
    parser.add_argument("--at-once", type=int, default=8, help="concurrent shards on all nodes (8)")
    arguments, more = parser.parse_known_args()
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    left = [name for name in shards(arguments.list, out, arguments.shard) if not done(out, name)]
    server = {name: os.environ[name] for name in ("SERVER_URL", "API_KEY") if name in os.environ}
    failed = 0
    if left:
        ray.init(logging_level="WARNING", log_to_driver=False)
        step = {"out": str(out), "task": arguments.task, "more": more, "server": server}
        work = ray.data.from_items(
            [{"shard": name} for name in left], override_num_blocks=len(left)
        )
        results = work.map(run, fn_kwargs=step, num_cpus=0.1, concurrency=arguments.at_once)
        for one in results.iter_rows():
            failed += one["status"] != 0
            print(f"{one['shard']}: {one['last']}", flush=True)
    again = ": run the same command again" if failed else ""
    print(f"{len(left) - failed} shards done in this run, {failed} failed{again}.")
    sys.exit(bool(failed))


def shards(listed: Path, out: Path, size: int) -> Iterator[str]:
    """Yield the names of the shards; each part of the list is written to OUT.

    Raises:
        SystemExit: OUT holds shards of another list or of another size.
    """
    with listed.open() as lines:
        files = (line for line in map(str.strip, lines) if line)
        for number in count():
            part = list(islice(files, size))
            if not part:
                return
            name = f"{number:05}"
            file, text = out / f"{name}.list", "".join(f"{path}\n" for path in part)
            had = file.read_text() if file.exists() else ""
            if not text.startswith(had):
                sys.exit(f"{file} belongs to another list or another --shard: use a new folder.")
            if text != had:  # new, or the list has grown at its end
                (out / f"{name}.done").unlink(missing_ok=True)
                file.write_text(text)
            yield name


def done(out: Path, name: str) -> bool:
    """Whether a shard was finished by an earlier run."""
    return (out / f"{name}.done").exists()


def run(
    row: dict[str, Any], out: str, task: str, more: list[str], server: dict[str, str]
) -> dict[str, Any]:
    """Run one shard on a node. `last` is the last line of its output."""
    shard = Path(out, row["shard"])
    command = [sys.executable, "-m", "app", "batch", task, "-", "--out", f"{shard}.jsonl", *more]
    with shard.with_suffix(".list").open() as listed:
        ended = subprocess.run(  # noqa: S603
            command,
            cwd=REPO,
            env={**os.environ, **server},
            stdin=listed,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    if ended.returncode == 0:
        shard.with_suffix(".done").touch()
    output = ended.stderr.strip().splitlines() or [f"status {ended.returncode}"]
    return {"shard": row["shard"], "status": ended.returncode, "last": output[-1]}


if __name__ == "__main__":
    main()
