"""The inputs of a batch and their state, in SQLite on disk, so that memory use is constant."""

import glob
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from app.client.request_body import IMAGE_SUFFIXES, is_url

CACHE_KIB = 4096  # of the database, whose file has no name


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed file with its error."""

    path: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Counts:
    """Number of files by state."""

    total: int
    answered: int
    failed: int

    @property
    def pending(self) -> int:
        return self.total - self.answered - self.failed


class InputNotFound(Exception):
    """An input does not exist; the text names it."""


class Worklist:
    """Unique paths in the order in which they were named; the files of a folder sorted by name.

    Paths are stored as bytes because a file name need not be valid UTF-8.
    """

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)  # a temporary file of SQLite's own
        self._db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        # code: NULL while a file waits, empty when it is answered, else that of its error.
        self._db.execute(
            "CREATE TABLE files (path BLOB PRIMARY KEY, source INTEGER, code TEXT, why TEXT) "
            "WITHOUT ROWID"
        )
        self._sources = 0

    def close(self) -> None:
        self._db.close()

    def add(self, names: Iterable[str], from_list: bool = False) -> None:
        """Add files, folders (all images below), URLs and globs.

        Args:
            from_list: the names come from a list; globs are not expanded, and a missing file fails
                when it is processed.

        Raises:
            InputNotFound: an input does not exist, or a glob matches nothing.
        """
        self._db.execute("BEGIN")
        for name in names:
            self._sources += 1
            rows = ((os.fsencode(path), self._sources) for path in _expand(name, from_list))
            self._db.executemany("INSERT OR IGNORE INTO files (path, source) VALUES (?, ?)", rows)
        self._db.execute("COMMIT")

    def record(self, results: Iterable[tuple[str, Mapping[str, Any] | None]]) -> None:
        """Store the results of files: each a path, and the error or None."""
        self._db.execute("BEGIN")
        rows = ((*_code_and_detail(error), os.fsencode(path)) for path, error in results)
        self._db.executemany("UPDATE files SET code = ?, why = ? WHERE path = ?", rows)
        self._db.execute("COMMIT")

    def retry_failed(self) -> None:
        """Set failed files to pending."""
        self._db.execute("UPDATE files SET code = NULL WHERE code != ''")

    def __contains__(self, path: str) -> bool:
        query = "SELECT 1 FROM files WHERE path = ?"
        return self._db.execute(query, (os.fsencode(path),)).fetchone() is not None

    def counts(self) -> Counts:
        query = "SELECT count(*), count(code = '' OR NULL), count(code != '' OR NULL) FROM files"
        return Counts(*self._db.execute(query).fetchone())

    def error_counts(self) -> dict[str, int]:
        """Number of failures per error code, the most frequent first."""
        query = "SELECT code, count(*) FROM files WHERE code != '' GROUP BY code ORDER BY 2 DESC"
        return dict(self._db.execute(query).fetchall())

    def pending(self) -> Iterator[str]:
        """The files without a result, in order; sorted once, on disk."""
        query = "SELECT path FROM files WHERE code IS NULL ORDER BY source, path"
        return (os.fsdecode(row[0]) for row in self._db.execute(query))

    def failures(self) -> Iterator[Failure]:
        """The failed files, in order."""
        query = "SELECT path, code, why FROM files WHERE code != '' ORDER BY source, path"
        for path, code, detail in self._db.execute(query):
            yield Failure(os.fsdecode(path), code, detail)


def _code_and_detail(error: Mapping[str, Any] | None) -> tuple[str, str]:
    """Code and detail of an error; empty if there is none."""
    if error is None:
        return "", ""
    return str(error.get("code") or "error"), " ".join(str(error.get("detail", "")).split())


def read_names(stream: IO[bytes]) -> Iterator[str]:
    """Read names from a stream, one per line."""
    for line in stream:
        if name := line.rstrip(b"\r\n"):
            yield os.fsdecode(name)


def _expand(name: str, from_list: bool) -> Iterator[str]:
    if is_url(name):
        yield name
    elif Path(name).is_dir():
        yield from _images_below(str(Path(name)))
    elif from_list or Path(name).exists():
        yield str(Path(name))
    elif glob.has_magic(name):
        found = False
        for path in glob.iglob(name, recursive=True):  # noqa: PTH207 - a pattern may be absolute
            if Path(path).is_file():
                found = True
                yield str(Path(path))
        if not found:
            raise InputNotFound(f"Nothing matches {name}.")
    else:
        raise InputNotFound(f"There is no file or folder {name}.")


def _images_below(folder: str) -> Iterator[str]:
    """The images and documents below a folder, without hidden ones."""
    try:
        entries = os.scandir(folder)
    except OSError as error:
        raise InputNotFound(f"The folder {folder} cannot be read: {error.strerror}.") from None
    with entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _images_below(entry.path)
            elif entry.name.lower().endswith(tuple(IMAGE_SUFFIXES)) and entry.is_file():
                yield entry.path
