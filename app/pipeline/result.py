"""Collects the result of a request: the parts of its text, token counts and timings."""

import time
from dataclasses import dataclass, field

from app.engine.events import GenerationEnd
from app.errors import Problem
from app.pipeline.plan import RequestPlan
from app.schemas import Answer, Timings, Usage
from app.tasks.documents.joining import JoinedDocument
from app.tasks.parsers.base import AnswerPart
from app.tasks.task import sampling_options


@dataclass(slots=True)
class ResultBuilder:
    """Filled while the answer is generated. Times are milliseconds."""

    parts: list[AnswerPart] = field(default_factory=list)  # one for each model call, in order
    generations: list[GenerationEnd] = field(default_factory=list)
    page_failures: dict[int, Problem] = field(default_factory=dict)  # of pages, by part index
    warnings: list[str] = field(default_factory=list)  # warnings about the whole request
    estimated_tokens: int = 0
    lacks_images: bool = False  # the engine counted fewer tokens than the images need
    prepare_ms: float = 0.0
    queue_ms: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.started) * 1e3

    def load_ms(self) -> float:
        """The time in which the engine loaded the model, 0 if it was loaded."""
        return sum(end.load_ms for end in self.generations)

    def text(self) -> str:
        """The non-empty parts, separated by an empty line."""
        return "\n\n".join(part.text for part in self.parts if part.text)

    def has_output(self) -> bool:
        """Whether the model wrote anything. (The text of an empty list is empty.)"""
        return any(part.text or part.parser.raw_text() for part in self.parts)

    def build(self, request_id: str, plan: RequestPlan) -> Answer:
        """Build the complete answer, including the fields of its task."""
        document = plan.task.join_pages(plan.request, plan.pictures, self.parts) or JoinedDocument(
            self.text()
        )
        return Answer(
            id=request_id,
            task=plan.task.name,
            model=plan.model.name,
            text=document.text,
            finish_reason="length" if "length" in self._finish_reasons() else "stop",
            images=list(plan.image_infos),
            usage=self._usage(),
            timings=self._timings(),
            cached=False,
            warnings=[*self._warnings(plan), *document.notes],
            **plan.task.build_fields(plan.request, plan.pictures, self.parts),
        )

    def cacheable(self, plan: RequestPlan) -> bool:
        """Whether the same request gets the same answer again: the temperature is 0, nothing
        failed, the answer is not empty, and no image was lost. Only such an answer is cached."""
        temperature = sampling_options(plan.task, plan.request, plan.model.can_think)["temperature"]
        return (
            temperature == 0
            and not self.page_failures
            and not self.lacks_images
            and self.has_output()
        )

    def as_cached(self, answer: Answer, request_id: str) -> Answer:
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

    def _finish_reasons(self) -> set[str]:
        return {end.finish_reason for end in self.generations}

    def _usage(self) -> Usage:
        return Usage(
            prompt_tokens=sum(end.prompt_tokens for end in self.generations),
            completion_tokens=sum(end.completion_tokens for end in self.generations),
            reasoning_tokens=sum(end.reasoning_tokens for end in self.generations),
            estimated_prompt_tokens=self.estimated_tokens,
        )

    def _timings(self) -> Timings:
        generate_ms = sum(end.generate_ms for end in self.generations)
        tokens = sum(end.completion_tokens for end in self.generations)
        return Timings(
            queue_ms=round(self.queue_ms, 1),
            prepare_ms=round(self.prepare_ms, 1),
            load_ms=round(self.load_ms(), 1),
            prompt_ms=round(sum(end.prompt_ms for end in self.generations), 1),
            generate_ms=round(generate_ms, 1),
            total_ms=round(self.elapsed_ms(), 1),
            tokens_per_second=round(tokens / generate_ms * 1e3, 1) if generate_ms else 0.0,
        )

    def _warnings(self, plan: RequestPlan) -> list[str]:
        notes = [plan.model.note, *plan.warnings, *self.warnings]
        if known := plan.known_pages():
            notes.append(f"The text layer of the document was used for page(s) {known}.")
        notes += [note for picture in plan.pictures for note in picture.warnings]
        notes += [
            f"page {plan.pictures[part].page} failed ({problem.code}): {problem.detail}"
            for part, problem in sorted(self.page_failures.items())
        ]
        notes += [note for end in self.generations for note in end.warnings]
        notes += [note for part in self.parts for note in part.parser.warnings()]
        if not self.has_output():
            notes.append("The model's answer was empty.")
        return list(dict.fromkeys(filter(None, notes)))
