"""A request, understood: what will be asked, of which model, and what each image may cost."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.engine.generate import Prompt
from app.engine.registry import Model
from app.images.budget import per_image
from app.images.decode import Prepared
from app.schemas import TaskRequest
from app.settings import Settings
from app.tasks.task import SYSTEM, Ask, Task, options

# A first estimate: between a token a word and a token a syllable.
BYTES_PER_TOKEN = 3
TEMPLATE_TOKENS = 32  # what the chat template adds around the turns


@dataclass(frozen=True, slots=True)
class Job:
    """One request to one model. Counts are tokens."""

    task: Task
    request: TaskRequest
    model: Model
    asks: tuple[Ask, ...]
    settings: Settings

    @property
    def answer_tokens(self) -> int:
        """The longest answer: as asked, else the task's own, where that leaves half the context
        for the images."""
        own = min(self.task.max_tokens(self.request), self.model.num_ctx // 2)
        return self.request.max_tokens or own

    @property
    def reasoning_tokens(self) -> int:
        thinks = self.request.think and self.model.thinks
        return self.request.max_reasoning_tokens if thinks else 0

    def image_tokens(self, images: int) -> int:
        """What each of so many images may cost; turns about one image each have the budget to
        themselves.

        Raises:
            ContextOverflow: they do not fit, however small.
        """
        together = images if any(ask.image is None for ask in self.asks) else 1
        text = max(len((SYSTEM + ask.text).encode()) for ask in self.asks)
        return per_image(
            together,
            self.model.num_ctx,
            TEMPLATE_TOKENS + text // BYTES_PER_TOKEN,
            self.answer_tokens + self.reasoning_tokens,
            self.request.detail,
        )

    def prompt(self, ask: Ask, images: Sequence[Prepared]) -> Prompt:
        """One turn. System and images come first, the text that differs last (the daemon puts a
        turn's images before its text), so that its prefix cache holds them."""
        shown = images if ask.image is None else (images[ask.image],)
        turn = {"role": "user", "content": ask.text, "images": [image.base64 for image in shown]}
        return Prompt(
            model=self.model,
            messages=({"role": "system", "content": SYSTEM}, turn),
            options=options(self.task, self.request, self.model.thinks),
            max_tokens=self.answer_tokens,
            keep_alive=self.settings.keep_alive_value,
            think=self.request.think,
            max_reasoning_tokens=self.request.max_reasoning_tokens,
        )
