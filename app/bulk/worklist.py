"""What is still to be done, kept on disk: ten files or ten million take the same memory."""

import glob
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from app.client.request_body import is_url

# What the server reads (app/images/formats.py), by the names it goes by. A file that is named
# itself is taken whatever it is called: the server looks at its bytes.
SUFFIXES = (
    ".jpg .jpeg .jfif .png .webp .gif .bmp .tif .tiff .avif .heic .heif .pdf".split()  # noqa: SIM905
)
CACHE_KIB = 4096  # of the database; all else of it is in a file without a name


@dataclass(frozen=True, slots=True)
class Failure:
    """A file whose line is an error, and what that says."""

    path: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Counts:
    """How many files there are, and what became of them."""

    total: int
    answered: int
    failed: int

    @property
    def pending(self) -> int:
        return self.total - self.answered - self.failed


class InputNotFound(Exception):
    """Something that was named is not there; the text says what."""


class Worklist:
    """Paths, each once, in the order in which they were named; those of a folder by their name.

    Names are kept as bytes: not every file's name is text.
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
        """What the words name: files, folders (all pictures below), addresses and, unless they
        are `listed` names, globs.

        Raises:
            Missing: one of them is not there. What is `listed` is taken as it is: a file that is
                gone by its turn is told of then.
        """
        self._db.execute("BEGIN")
        for name in names:
            self._sources += 1
            rows = ((os.fsencode(path), self._sources) for path in _expand(name, from_list))
            self._db.executemany("INSERT OR IGNORE INTO files (path, source) VALUES (?, ?)", rows)
        self._db.execute("COMMIT")

    def record(self, results: Iterable[tuple[str, Mapping[str, Any] | None]]) -> None:
        """Files that have their line: a path, and the error where it is one."""
        self._db.execute("BEGIN")
        rows = ((*_code_and_detail(error), os.fsencode(path)) for path, error in results)
        self._db.executemany("UPDATE files SET code = ?, why = ? WHERE path = ?", rows)
        self._db.execute("COMMIT")

    def retry_failed(self) -> None:
        """What failed waits again."""
        self._db.execute("UPDATE files SET code = NULL WHERE code != ''")

    def __contains__(self, path: str) -> bool:
        query = "SELECT 1 FROM files WHERE path = ?"
        return self._db.execute(query, (os.fsencode(path),)).fetchone() is not None

    def counts(self) -> Counts:
        query = "SELECT count(*), count(code = '' OR NULL), count(code != '' OR NULL) FROM files"
        return Counts(*self._db.execute(query).fetchone())

    def error_counts(self) -> dict[str, int]:
        """How many failed with each code, the most first."""
        query = "SELECT code, count(*) FROM files WHERE code != '' GROUP BY code ORDER BY 2 DESC"
        return dict(self._db.execute(query).fetchall())

    def pending(self) -> Iterator[str]:
        """Those without a line. The order is made once, on disk."""
        query = "SELECT path FROM files WHERE code IS NULL ORDER BY source, path"
        return (os.fsdecode(row[0]) for row in self._db.execute(query))

    def failures(self) -> Iterator[Failure]:
        """Those whose line is an error."""
        query = "SELECT path, code, why FROM files WHERE code != '' ORDER BY source, path"
        for path, code, detail in self._db.execute(query):
            yield Failure(os.fsdecode(path), code, detail)


def _code_and_detail(error: Mapping[str, Any] | None) -> tuple[str, str]:
    """Code and detail of an error; empty where there is none."""
    if error is None:
        return "", ""
    return str(error.get("code") or "error"), " ".join(str(error.get("detail", "")).split())


def read_names(stream: IO[bytes]) -> Iterator[str]:
    """The names on standard input: one a line."""
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
    """The pictures and documents below a folder, without those that are hidden."""
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
            elif entry.name.lower().endswith(tuple(SUFFIXES)) and entry.is_file():
                yield entry.path
