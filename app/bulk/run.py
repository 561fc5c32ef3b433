"""Runs a batch: workers process the pending files of a worklist, as many as the pool allows."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from app.bulk.attempt import Outcome, TaskSpec, failure, process
from app.bulk.results_file import ResultsFile, SavedResult
from app.bulk.server_pool import ServerPool
from app.bulk.sidecar import Sidecars
from app.bulk.worklist import Worklist

SYNC_S = 1.0  # a power cut costs at most this much work


@dataclass(slots=True)
class Run:
    """The state of a run.

    emit: receives each outcome when its line is written.
    sidecar_failures: number of sidecars that could not be written; `sidecar_error` is the last
    reason.
    """

    spec: TaskSpec
    worklist: Worklist
    results: ResultsFile
    sidecars: Sidecars | None = None
    emit: Callable[[Outcome], None] = lambda _: None
    sidecar_failures: int = 0
    sidecar_error: str = ""
    _any_answered: bool = field(default=False, init=False)

    def resume(self, retry_failed: bool) -> None:
        """Take over the results of an earlier run, and write sidecars that it did not get to.

        Raises:
            ResultsFileError: the results file cannot be used.
        """
        self.worklist.record((saved.path, saved.error) for saved in self._saved_results())
        if retry_failed:
            self.results.remove(
                lambda saved: saved.error is not None and saved.path in self.worklist
            )
            self.worklist.retry_failed()

    def _saved_results(self) -> Iterator[SavedResult]:
        for saved in self.results.recover():
            if saved.error is None and self.sidecars and saved.path in self.worklist:
                target = self.sidecars.path_for(saved.path)
                if target and not target.exists():
                    self._write_sidecar(self.sidecars, saved.path, saved.text)
            yield saved

    async def execute(self, pool: ServerPool) -> None:
        """Process all pending files.

        Raises:
            TaskRejected: the server rejects the request for every file.
            NoServerLeft: all servers are down.
            ResultsFileError: the results file cannot be written.
        """
        pending = self.worklist.pending()
        syncing = asyncio.create_task(self._sync_regularly())
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(pool.capacity):
                    group.create_task(self._worker(pending, pool))
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None
        finally:
            syncing.cancel()
            with suppress(asyncio.CancelledError):
                await syncing

    async def _worker(self, pending: Iterator[str], pool: ServerPool) -> None:
        for path in pending:
            if self.sidecars and (existing := self.sidecars.existing(path)):
                detail = f"{existing} already exists: move it, or overwrite it with --force."
                await self._save(failure(path, "file_exists", detail))
            else:
                await self._save(
                    await process(path, self.spec, pool, any_answered=self._any_answered)
                )

    async def _save(self, outcome: Outcome) -> None:
        """Write the line and flush it before the sidecar: a sidecar can be restored from its line,
        but a sidecar without a line would block the next run."""
        self.results.append(outcome.to_record(self.spec.task, self.spec.fingerprint))
        self.worklist.record([(outcome.path, outcome.error)])
        if outcome.answer is not None:
            self._any_answered = True
            if self.sidecars:
                await asyncio.to_thread(self.results.sync)
                self._write_sidecar(self.sidecars, outcome.path, outcome.answer["text"])
        self.emit(outcome)

    def _write_sidecar(self, sidecars: Sidecars, path: str, text: str) -> None:
        try:
            sidecars.write(path, text)
        except OSError as error:
            self.sidecar_failures += 1
            self.sidecar_error = (
                f"{sidecars.path_for(path)}: {error.strerror or 'it already exists'}"
            )

    async def _sync_regularly(self) -> None:
        while True:
            await asyncio.sleep(SYNC_S)
            await asyncio.to_thread(self.results.sync)
