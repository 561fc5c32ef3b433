"""A run: every file of a worklist, a line each, by as many workers as the servers take at once."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from app.bulk.beside import Beside
from app.bulk.fleet import Fleet
from app.bulk.job import Ask, Outcome, do, failed
from app.bulk.lines import Line, Lines
from app.bulk.worklist import Worklist

SYNC_S = 1.0  # a power cut costs at most this much work


@dataclass(slots=True)
class Run:
    """What a run works with.

    note: takes each outcome when its line is written.
    unwritten: how many texts could not be put beside their files, and `why` of the last one.
    """

    ask: Ask
    work: Worklist
    lines: Lines
    beside: Beside | None = None
    note: Callable[[Outcome], None] = lambda _: None
    unwritten: int = 0
    why: str = ""
    _proven: bool = field(default=False, init=False)

    def resume(self, retry_failed: bool) -> None:
        """Take over what the file holds already. What was written beside is made good where a
        kill came between a line and its text. Raises Unusable."""
        self.work.settle((line.path, line.error) for line in self._kept())
        if retry_failed:
            self.lines.drop(lambda line: line.error is not None and line.path in self.work)
            self.work.again()

    def _kept(self) -> Iterator[Line]:
        for line in self.lines.mend():
            if line.error is None and self.beside and line.path in self.work:
                target = self.beside.of(line.path)
                if target and not target.exists():
                    self._write(self.beside, line.path, line.text)
            yield line

    async def go(self, fleet: Fleet) -> None:
        """All that waits.

        Raises:
            Wrong: no file will be answered.
            NobodyLeft: no server is there any more.
            Unusable: the file cannot be written to.
        """
        waiting = self.work.waiting()
        syncing = asyncio.create_task(self._sync())
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(fleet.most):
                    group.create_task(self._worker(waiting, fleet))
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None
        finally:
            syncing.cancel()
            with suppress(asyncio.CancelledError):
                await syncing

    async def _worker(self, waiting: Iterator[str], fleet: Fleet) -> None:
        for path in waiting:
            if self.beside and (taken := self.beside.taken(path)):
                detail = f"{taken} is there already: move it away, or replace it with --force."
                await self._keep(failed(path, "file_exists", detail))
            else:
                await self._keep(await do(path, self.ask, fleet, proven=self._proven))

    async def _keep(self, outcome: Outcome) -> None:
        """The line first, down to the disk: from it the text beside can be made again, while a
        text without its line would be in the way."""
        self.lines.append(outcome.line(self.ask.task, self.ask.short))
        self.work.settle([(outcome.path, outcome.error)])
        if outcome.answer is not None:
            self._proven = True
            if self.beside:
                await asyncio.to_thread(self.lines.sync)
                self._write(self.beside, outcome.path, outcome.answer["text"])
        self.note(outcome)

    def _write(self, beside: Beside, path: str, text: str) -> None:
        try:
            beside.write(path, text)
        except OSError as error:
            self.unwritten += 1
            self.why = f"{beside.of(path)}: {error.strerror or 'it is there already'}"

    async def _sync(self) -> None:
        while True:
            await asyncio.sleep(SYNC_S)
            await asyncio.to_thread(self.lines.sync)
