"""The results file of a batch: one line of JSON per input, safe against kills and power cuts.

A line is appended with one write, so a kill can truncate only the last line. Such a line is removed
when the file is opened again, and its input is processed again. The file is locked while a run
writes to it.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

LINE_PREFIX = b'{"path": '  # of every line; identifies a truncated one


class ResultsFileError(Exception):
    """The file cannot be used; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class SavedResult:
    """The part of a line that a resumed run needs. text: of the answer; empty if there is none."""

    path: str
    fingerprint: str
    error: Mapping[str, Any] | None
    text: str


class ResultsFile:
    """The open, locked file. `fingerprint` identifies the task and its fields."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        """Raises ResultsFileError if it cannot be opened or another run has it locked."""
        self.path, self.fingerprint = path, fingerprint
        target = path.resolve()
        self._lock = FileLock(target.with_name(f".{target.name}.lock"), timeout=0)
        try:
            target.parent.stat()  # FileLock would create a missing folder
            self._lock.acquire()
            self._fd = self._open()
        except Timeout:
            raise ResultsFileError(
                f"Another run is writing to {path}. Wait for it, or choose another --out."
            ) from None
        except OSError as error:
            self._unlock()
            raise ResultsFileError(f"Cannot open {path}: {error.strerror}.") from None

    def _open(self) -> int:
        return os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)

    def _unlock(self) -> None:
        """Remove the lock file while it is locked: a run that already opened it cannot get it."""
        if self._lock.is_locked:
            Path(self._lock.lock_file).unlink(missing_ok=True)
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sync()
        os.close(self._fd)
        self._unlock()

    def recover(self) -> Iterator[SavedResult]:
        """Yield the results of all complete lines, then remove a truncated last line.

        Raises:
            ResultsFileError: not a results file, or one of another task or other fields.
        """
        whole = 0
        with self.path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                if not raw.endswith(b"\n"):
                    if not _is_truncated(raw):
                        raise ResultsFileError(self._not_a_results_file(number))
                    break
                yield self._parse(raw, number)
                whole += len(raw)
        os.ftruncate(self._fd, whole)

    def _parse(self, raw: bytes, number: int) -> SavedResult:
        try:
            record = json.loads(raw)
            line = SavedResult(
                record["path"], record["asked"], record["error"], _answer_text(record.get("answer"))
            )
        except (ValueError, KeyError, TypeError):
            raise ResultsFileError(self._not_a_results_file(number)) from None
        if line.fingerprint != self.fingerprint:
            raise ResultsFileError(
                f"{self.path} holds results of other options (line {number}: {line.fingerprint}; "
                f"now: {self.fingerprint}). Resume with the same options, or choose another --out."
            )
        return line

    def _not_a_results_file(self, number: int) -> str:
        return (
            f"{self.path} was not written by `batch`: line {number} is not a result. The file is "
            "unchanged; choose another --out."
        )

    def remove(self, unwanted: Callable[[SavedResult], bool]) -> None:
        """Remove lines. The file is replaced atomically."""
        draft = self.path.with_name(f".{self.path.name}.draft")
        with self.path.open("rb") as old, draft.open("wb") as new:
            for number, raw in enumerate(old, 1):
                if not unwanted(self._parse(raw, number)):
                    new.write(raw)
            new.flush()
            os.fsync(new.fileno())
            os.fchmod(new.fileno(), os.fstat(old.fileno()).st_mode & 0o777)
        draft.replace(self.path)
        os.close(self._fd)
        self._fd = self._open()

    def append(self, record: Mapping[str, Any]) -> None:
        """Append a line; a line that cannot be written completely is removed again.

        Raises:
            ResultsFileError: it cannot be written, for example because the disk is full.
        """
        data = encode_line(record)
        size = os.fstat(self._fd).st_size
        try:
            if os.write(self._fd, data) == len(data):
                return
            reason = "the disk is full"
        except OSError as error:
            reason = str(error.strerror)
        os.ftruncate(self._fd, size)
        raise ResultsFileError(
            f"Cannot write to {self.path}: {reason}. Fix that and run the same command again; it "
            "resumes from here."
        )

    def sync(self) -> None:
        """Flush to disk, so that a power cut loses nothing written before."""
        os.fsync(self._fd)


def encode_line(record: Mapping[str, Any]) -> bytes:
    """A line as UTF-8; a file name that is not valid UTF-8 is escaped."""
    try:
        return json.dumps(record, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(record).encode() + b"\n"


def _is_truncated(raw: bytes) -> bool:
    """Whether it is the start of a result, or zeros, which some file systems leave after a power
    cut."""
    return raw.startswith(LINE_PREFIX) or LINE_PREFIX.startswith(raw) or not raw.strip(b"\0")


def _answer_text(answer: Any) -> str:
    return str(answer.get("text", "")) if isinstance(answer, dict) else ""
