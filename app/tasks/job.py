"""A request, understood: what will be asked, of which model, and how large each picture is sent."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from app.engine.generate import Prompt
from app.engine.registry import Model
from app.errors import ContextOverflow
from app.images.budget import Size, least, plan
from app.images.picture import Picture
from app.models.tokens import Cost
from app.schemas import Detail, ImageInfo, TaskRequest
from app.settings import Settings
from app.tasks.task import Ask, Group, Task, options

# Kept free beside what was estimated: a share of it, and at least so many tokens.
MARGIN = 0.02
LEAST_MARGIN = 16


@dataclass(frozen=True, slots=True)
class Job:
    """One request to one model. `sizes` are those to send the pictures in, None for a picture
    that is not sent. Counts are tokens."""

    task: Task
    request: TaskRequest
    model: Model
    settings: Settings
    pictures: tuple[Picture, ...]
    groups: tuple[Group, ...]
    sizes: tuple[Size | None, ...]
    infos: tuple[ImageInfo, ...]  # what is told of each picture

    @classmethod
    def of(
        cls,
        task: Task,
        request: TaskRequest,
        model: Model,
        settings: Settings,
        pictures: tuple[Picture, ...],
    ) -> "Job":
        """Decide what to ask, and plan the pictures of each group into the context.

        Raises:
            ContextOverflow: prompt, pictures and answer do not fit, with the numbers.
        """
        groups = task.asks(request, pictures, settings.default_language)
        pictures = _shown(groups, pictures)
        sizes: dict[int, Size] = {}
        room = (
            model.num_ctx - answer_tokens(task, request, model) - reasoning_tokens(request, model)
        )
        for group in groups:
            sizes |= _planned(group, pictures, model, request.detail, room)
        sent = tuple(sizes.get(position) for position in range(len(pictures)))
        infos = tuple(
            ImageInfo(
                index=picture.index,
                page=picture.page,
                width=picture.width,
                height=picture.height,
                sent_width=size[0] if size else 0,
                sent_height=size[1] if size else 0,
                tokens=model.image_rule.tokens(*size) if size else 0,
            )
            for picture, size in zip(pictures, sent, strict=True)
        )
        return cls(task, request, model, settings, pictures, groups, sent, infos)

    def without_files(self, positions: Collection[int]) -> "Job":
        """The same; of some pictures only what is known of them is kept."""
        pictures = tuple(
            replace(picture, data=b"") if position in positions else picture
            for position, picture in enumerate(self.pictures)
        )
        return replace(self, pictures=pictures)

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the request was changed, as warnings."""
        asked, kept = self.request.max_tokens, answer_tokens(self.task, self.request, self.model)
        if asked is None or asked == kept:
            return ()
        return (f"max_tokens was lowered to {kept}: the context has {self.model.num_ctx} tokens.",)

    def known(self) -> bool:
        """Whether the engine need not be asked at all."""
        return all(ask.known is not None for group in self.groups for ask in group)

    def known_pages(self) -> str:
        """The pages whose own text is the answer, such as `1-3, 7`; empty where there are none."""
        known = [
            self.pictures[ask.pictures[0]].page or 1
            for group in self.groups
            for ask in group
            if ask.known is not None
        ]
        runs: list[list[int]] = []
        for page in known:
            if runs and page == runs[-1][-1] + 1:
                runs[-1].append(page)
            else:
                runs.append([page])
        return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)

    def cost(self, ask: Ask) -> Cost:
        """What a turn costs, as far as it can be known before it is asked."""
        sizes = [self.sizes[position] for position in ask.pictures]
        rule = self.model.image_rule
        return Cost.of(_words(ask), [rule.tokens(*size) for size in sizes if size])

    def prompt(self, ask: Ask, images: Sequence[bytes]) -> Prompt:
        """What is asked, with its images as base64, in the order of the turns. System and images
        come first, the text that differs last (the daemon puts a turn's images before its text),
        so that its prefix cache holds them."""
        left = iter(images)
        messages: list[dict[str, Any]] = []
        for turn in ask.turns:
            message: dict[str, Any] = {"role": turn.role, "content": turn.text}
            if turn.pictures:
                message["images"] = list(islice(left, len(turn.pictures)))
            messages.append(message)
        return Prompt(
            model=self.model,
            messages=tuple(messages),
            options=options(self.task, self.request, self.model.thinks),
            max_tokens=answer_tokens(self.task, self.request, self.model),
            keep_alive=self.settings.keep_alive_value,
            think=self.request.think if ask.think is None else ask.think and self.model.thinks,
            format=ask.format,
            max_reasoning_tokens=self.request.max_reasoning_tokens,
            stall_s=self.settings.stall_timeout_s,
        )


def _shown(groups: Sequence[Group], pictures: Sequence[Picture]) -> tuple[Picture, ...]:
    """The pictures as they are asked about: whole, but for those of which a region is wanted."""
    regions = {
        position for group in groups for ask in group if ask.region for position in ask.pictures
    }
    return tuple(
        picture if position in regions or picture.region is None else replace(picture, region=None)
        for position, picture in enumerate(pictures)
    )


def _words(ask: Ask) -> str:
    return "".join(turn.text for turn in ask.turns)


def answer_tokens(task: Task, request: TaskRequest, model: Model) -> int:
    """The longest answer: as asked where the context can hold it at all, else half the context;
    the task's own where nothing is asked, within that half."""
    half = model.num_ctx // 2
    asked = request.max_tokens
    if asked is None:
        return min(task.max_tokens(request), half)
    return asked if asked < model.num_ctx else half


def reasoning_tokens(request: TaskRequest, model: Model) -> int:
    """The longest reasoning; it stands in the context beside the answer."""
    return request.max_reasoning_tokens if request.think and model.thinks else 0


def _planned(
    group: Group, pictures: Sequence[Picture], model: Model, detail: Detail, room: int
) -> dict[int, Size]:
    """Sizes of the pictures that a group shows, by position; the longest of its turns decides.

    Args:
        room: the context without what is kept for the answer.
    """
    asked = [ask for ask in group if ask.known is None]
    if not asked:
        return {}
    shown = asked[0].pictures
    bare = [Cost.of(_words(ask), [0] * len(shown)) for ask in asked]
    text = max(map(model.estimator.predict, bare))
    margin = max(LEAST_MARGIN, int(MARGIN * model.num_ctx))
    natural = [pictures[position].natural for position in shown]
    left = max(0, room - text - margin)
    fits = room >= text + margin  # there may be no picture
    planned = plan(natural, model.image_rule, left, detail) if fits else None
    if planned is not None:
        return dict(zip(shown, planned, strict=True))
    need = sum(least(size, model.image_rule) for size in natural)
    answer = model.num_ctx - room
    raise ContextOverflow(
        f"The context of {model.num_ctx} tokens leaves {left} for images beside {text} of text, "
        f"{answer} for the answer and {margin} to spare; {len(shown)} image(s) need at least "
        f"{need}. Send fewer images or less text, lower max_tokens, or raise NUM_CTX.",
        num_ctx=model.num_ctx,
        text_tokens=text,
        answer_tokens=answer,
        image_tokens=need,
    )
