"""A process and its descendants, as Linux reports them in /proc."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SAMPLE_S = 0.02


def family(pid: int) -> list[int]:
    """The process and its descendants."""
    found = [pid]
    for one in found:
        for task in _tasks(one):
            try:
                found += map(int, (task / "children").read_text().split())
            except OSError:
                continue
    return found


def runs(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def stopped(pid: int) -> bool:
    """Whether all its threads are stopped, as after SIGSTOP."""
    states = [(task / "stat").read_text().rpartition(") ")[2][0] for task in _tasks(pid)]
    return set(states) <= {"T", "t"}


def memory_mb(pid: int) -> float:
    """Resident memory of the process and its descendants, in MB; shared pages count once (PSS)."""
    return sum(_pss_kb(one) for one in family(pid)) / 1e3


@contextmanager
def peak_mb(pid: int) -> Iterator[list[float]]:
    """Sample `memory_mb` from now until the block ends; the list of samples, never empty."""
    over = threading.Event()
    samples = [memory_mb(pid)]

    def run() -> None:
        while not over.wait(SAMPLE_S):
            samples.append(memory_mb(pid))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


def cpu_s(pid: int) -> float:
    """CPU time of the process and its living descendants, in seconds."""
    total = 0
    for one in family(pid):
        for task in _tasks(one):
            try:
                total += int((task / "schedstat").read_text().split()[0])
            except OSError:
                continue
    return total / 1e9


def _tasks(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []


def _pss_kb(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return int(rollup.split("Pss:")[1].split()[0]) if "Pss:" in rollup else 0
