"""Collects the result of a request: the parts of its text, token counts and timings."""

import time
from dataclasses import dataclass, field

from app.engine.events import Generated
from app.errors import Problem
from app.schemas import Answer, Timings, Usage
from app.tasks.job import Job
from app.tasks.joining import Joined
from app.tasks.reader import Part
from app.tasks.task import options


@dataclass(slots=True)
class Record:
    """Filled while the answer is generated. Times are milliseconds."""

    parts: list[Part] = field(default_factory=list)  # one for each model call, in order
    ends: list[Generated] = field(default_factory=list)
    failures: dict[int, Problem] = field(default_factory=dict)  # of pages, by part index
    notes: list[str] = field(default_factory=list)  # warnings about the whole request
    estimated_tokens: int = 0
    lacks_images: bool = False  # the engine counted fewer tokens than the images need
    prepare_ms: float = 0.0
    queue_ms: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.started) * 1e3

    def load_ms(self) -> float:
        """The time in which the engine loaded the model, 0 if it was loaded."""
        return sum(end.load_ms for end in self.ends)

    def text(self) -> str:
        """The non-empty parts, separated by an empty line."""
        return "\n\n".join(part.text for part in self.parts if part.text)

    def said(self) -> bool:
        """Whether the model wrote anything. (The text of an empty list is empty.)"""
        return any(part.text or part.reader.raw() for part in self.parts)

    def answer(self, request_id: str, job: Job) -> Answer:
        """Build the complete answer, including the fields of its task."""
        whole = job.task.join(job.request, job.pictures, self.parts) or Joined(self.text())
        return Answer(
            id=request_id,
            task=job.task.name,
            model=job.model.name,
            text=whole.text,
            finish_reason="length" if "length" in self._finishes() else "stop",
            images=list(job.infos),
            usage=self._usage(),
            timings=self._timings(),
            cached=False,
            warnings=[*self._warnings(job), *whole.notes],
            **job.task.read(job.request, job.pictures, self.parts),
        )

    def repeatable(self, job: Job) -> bool:
        """Whether the same request gets the same answer again: the temperature is 0, nothing
        failed, the answer is not empty, and no image was lost. Only such an answer is cached."""
        chance = options(job.task, job.request, job.model.thinks)["temperature"]
        return chance == 0 and not self.failures and not self.lacks_images and self.said()

    def taken_over(self, answer: Answer, request_id: str) -> Answer:
        """An answer that another request generated, with the id and timings of this request."""
        spent = Timings(
            queue_ms=0,
            prepare_ms=round(self.prepare_ms, 1),
            load_ms=0,
            prompt_ms=0,
            generate_ms=0,
            total_ms=round(self.elapsed_ms(), 1),
            tokens_per_second=0,
        )
        return answer.model_copy(update={"id": request_id, "timings": spent})

    def _finishes(self) -> set[str]:
        return {end.finish_reason for end in self.ends}

    def _usage(self) -> Usage:
        return Usage(
            prompt_tokens=sum(end.prompt_tokens for end in self.ends),
            completion_tokens=sum(end.completion_tokens for end in self.ends),
            reasoning_tokens=sum(end.reasoning_tokens for end in self.ends),
            estimated_prompt_tokens=self.estimated_tokens,
        )

    def _timings(self) -> Timings:
        generate_ms = sum(end.generate_ms for end in self.ends)
        tokens = sum(end.completion_tokens for end in self.ends)
        return Timings(
            queue_ms=round(self.queue_ms, 1),
            prepare_ms=round(self.prepare_ms, 1),
            load_ms=round(self.load_ms(), 1),
            prompt_ms=round(sum(end.prompt_ms for end in self.ends), 1),
            generate_ms=round(generate_ms, 1),
            total_ms=round(self.elapsed_ms(), 1),
            tokens_per_second=round(tokens / generate_ms * 1e3, 1) if generate_ms else 0.0,
        )

    def _warnings(self, job: Job) -> list[str]:
        notes = [job.model.note, *job.notes, *self.notes]
        if known := job.known_pages():
            notes.append(f"The text layer of the document was used for page(s) {known}.")
        notes += [note for picture in job.pictures for note in picture.warnings]
        notes += [
            f"page {job.pictures[part].page} failed ({problem.code}): {problem.detail}"
            for part, problem in sorted(self.failures.items())
        ]
        notes += [note for end in self.ends for note in end.warnings]
        notes += [note for part in self.parts for note in part.reader.warnings()]
        if not self.said():
            notes.append("The model's answer was empty.")
        return list(dict.fromkeys(filter(None, notes)))
