"""What came of a request: the text of its parts, the engine's counts, and where the time went."""

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
    """Filled while the answer comes; times in milliseconds."""

    parts: list[Part] = field(default_factory=list)  # one a turn, in order
    ends: list[Generated] = field(default_factory=list)
    failures: dict[int, Problem] = field(default_factory=dict)  # of pages, by part
    notes: list[str] = field(default_factory=list)  # warnings of the request as a whole
    estimated_tokens: int = 0
    lacks_images: bool = False  # the engine counted too little for all of them
    prepare_ms: float = 0.0
    queue_ms: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.started) * 1e3

    def load_ms(self) -> float:
        """How long the engine took to load the model, if it did."""
        return sum(end.load_ms for end in self.ends)

    def text(self) -> str:
        """All parts that have text, an empty line between them."""
        return "\n\n".join(part.text for part in self.parts if part.text)

    def said(self) -> bool:
        """Whether the model wrote anything; of an empty list nothing is in the text."""
        return any(part.text or part.reader.raw() for part in self.parts)

    def answer(self, request_id: str, job: Job) -> Answer:
        """The whole answer; fields of the task's own are there only for it."""
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
        """Whether the same request would get the same again: nothing failed, and nothing is left
        to chance. An answer of nothing is worth another try, and so is one about fewer pictures
        than were sent."""
        chance = options(job.task, job.request, job.model.thinks)["temperature"]
        return chance == 0 and not self.failures and not self.lacks_images and self.said()

    def taken_over(self, answer: Answer, request_id: str) -> Answer:
        """An answer that another request had generated, as that of this one."""
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
            notes.append("The model answered with nothing.")
        return list(dict.fromkeys(filter(None, notes)))
