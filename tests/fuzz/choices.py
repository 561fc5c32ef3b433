"""Bytes as choices: any input is a valid one, and small changes of it are small changes."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

One = TypeVar("One")
LONGEST = 262_144  # characters of a text that is made


class Choices:
    """The bytes are used up one after another; behind them all are 0."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._large = True

    @property
    def over(self) -> bool:
        return self._at >= len(self._data)

    def byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def number(self, most: int) -> int:
        """From 0 to `most` - 1."""
        high = self.byte() << 8 if most > 256 else 0
        return (high | self.byte()) % most

    def one(self, of: Sequence[One]) -> One:
        return of[self.number(len(of))]

    def text(self, words: Sequence[str]) -> str:
        """Words one after another, runs of them repeated up to 4,096 times."""
        pieces: list[str] = []
        length = 0
        while not self.over and length < LONGEST:
            count = self.number(16)
            run = "".join(self.one(words) for _ in range(1 + count % 4))
            times = 1 << (self.number(13) if count > 8 else 0)
            pieces.append(run * min(times, 1 + (LONGEST - length) // max(1, len(run))))
            length += len(pieces[-1])
        return "".join(pieces)

    def json(self, depth: int, leaf: Callable[["Choices"], Any]) -> Any:
        """A value with lists and objects in one another."""
        kind = self.number(8)
        if depth <= 0 or kind < 4:
            return leaf(self)
        times = 1 + self.number(3)
        if kind == 4 and self._large:  # one level of many is enough: they multiply
            self._large = False
            times = 1 << self.number(13)
        inner = self.json(depth - 1, leaf)
        if kind < 6:
            return [inner] * times
        return {self.one("abc") + str(n or ""): inner for n in range(times)}
