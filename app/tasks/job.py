"""The plan of a request: the model calls, and the size and token count of each picture."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from app.engine import markup
from app.engine.generate import Prompt
from app.engine.registry import Model
from app.errors import ContextOverflow
from app.images.budget import Size, apart, least, plan
from app.images.picture import Picture
from app.models.tokens import Cost
from app.schemas import Detail, ImageInfo, TaskRequest
from app.settings import Settings
from app.tasks.task import Ask, Group, Task, Turn, options

# Tokens kept free for errors of the estimate: this share of the context, but at least 16.
MARGIN = 0.02
LEAST_MARGIN = 16
CORRECTING = 1024  # reasoning tokens at most in a correction call


@dataclass(frozen=True, slots=True)
class Job:
    """The plan of one request to one model.

    `sizes`: (width, height) in pixels that each picture is scaled to; None if it is not sent.
    `pads`: columns and rows of pixels added so that the engine does not merge two neighbours.
    Counts are tokens.
    """

    task: Task
    request: TaskRequest
    model: Model
    settings: Settings
    pictures: tuple[Picture, ...]
    groups: tuple[Group, ...]
    sizes: tuple[Size | None, ...]
    pads: tuple[Size, ...]
    infos: tuple[ImageInfo, ...]  # of each picture, for the response

    @classmethod
    def of(
        cls,
        task: Task,
        request: TaskRequest,
        model: Model,
        settings: Settings,
        pictures: tuple[Picture, ...],
    ) -> "Job":
        """Plan the model calls, and fit the pictures of each group into the context.

        Raises:
            ContextOverflow: prompt, pictures and answer do not fit; the detail has the numbers.
            InvalidParameter: the task refuses the request.
        """
        groups = task.asks(request, pictures, settings.default_language)
        pictures = _shown(groups, pictures)
        drawn: dict[int, Size] = {}
        larger: dict[int, Size] = {}
        room = (
            model.num_ctx - answer_tokens(task, request, model) - reasoning_tokens(request, model)
        )
        for group in groups:
            planned = _planned(group, pictures, model, request.detail, room)
            drawn |= planned
            larger |= _apart(group, planned, model)
        sizes = tuple(drawn.get(position) for position in range(len(pictures)))
        sent = tuple(larger.get(position) for position in range(len(pictures)))
        pads = tuple(
            (more[0] - size[0], more[1] - size[1]) if size and more else (0, 0)
            for size, more in zip(sizes, sent, strict=True)
        )
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
        return cls(task, request, model, settings, pictures, groups, sizes, pads, infos)

    def without_files(self, positions: Collection[int]) -> "Job":
        """The plan without the file bytes of the pictures at `positions`; their metadata stays."""
        pictures = tuple(
            replace(picture, data=b"") if position in positions else picture
            for position, picture in enumerate(self.pictures)
        )
        return replace(self, pictures=pictures)

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings about changed request parameters."""
        asked, kept = self.request.max_tokens, answer_tokens(self.task, self.request, self.model)
        if asked is None or asked == kept:
            return ()
        return (f"max_tokens was lowered to {kept}: the context has {self.model.num_ctx} tokens.",)

    def known(self) -> bool:
        """Whether all answers are known without a model call."""
        return all(ask.known is not None for group in self.groups for ask in group)

    def known_pages(self) -> str:
        """The pages answered from the text layer, such as `1-3, 7`; empty if there are none."""
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
        """The estimated cost of a model call."""
        tokens = [self.infos[position].tokens for position in ask.pictures]
        return Cost.of(_words(ask, self.model), [one for one in tokens if one])

    def prompt(self, ask: Ask, images: Sequence[bytes]) -> Prompt:
        """The prompt of a model call.

        The system message and the images come first and the text that differs comes last, so that
        the daemon's prefix cache applies. (The daemon puts a message's images before its text.)

        Args:
            images: base64 bytes, in the order of the messages.
        """
        left = iter(images)
        messages: list[dict[str, Any]] = []
        contents = _contents(ask.turns, self.model)
        for turn, content in zip(ask.turns, contents, strict=True):
            message: dict[str, Any] = {"role": turn.role, "content": content}
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
            format=ask.held if self.model.holds_at_once else ask.format,
            max_reasoning_tokens=reasoning_limit(self.request, self.model, ask.think),
            stall_s=self.settings.stall_timeout_s,
            escaped=any(map(markup.is_escaped, contents)),
        )


def _shown(groups: Sequence[Group], pictures: Sequence[Picture]) -> tuple[Picture, ...]:
    """The pictures, with `region` cleared unless a model call asks about the region."""
    regions = {
        position for group in groups for ask in group if ask.region for position in ask.pictures
    }
    return tuple(
        picture if position in regions or picture.region is None else replace(picture, region=None)
        for position, picture in enumerate(pictures)
    )


def _contents(turns: Sequence[Turn], model: Model) -> list[str]:
    """The texts of the messages as sent to the daemon."""
    if model.separation != "tags":
        return [markup.escaped(turn.text) for turn in turns]
    number, contents = 1, []
    for turn in turns:
        contents.append(markup.tagged(turn.text, len(turn.pictures), number))
        number += len(turn.pictures)
    return contents


def _words(ask: Ask, model: Model) -> str:
    return "".join(_contents(ask.turns, model))


def answer_tokens(task: Task, request: TaskRequest, model: Model) -> int:
    """The token limit of the answer.

    It is the request's `max_tokens` if the context can hold that. Otherwise it is the task's
    default, at most a half of the context (a quarter with reasoning that may shrink), so that
    pictures and reasoning have space. A `max_tokens` that the context cannot hold is lowered to
    that share.
    """
    share = 4 if request.think and model.thinks and request.reasoning_gives_way else 2
    most, asked = model.num_ctx // share, request.max_tokens
    if asked is None:
        return min(task.max_tokens(request), most)
    return asked if asked < model.num_ctx else most


def reasoning_limit(request: TaskRequest, model: Model, anyway: bool | None = None) -> int:
    """The token limit of the reasoning. If it may shrink and the request sets no `max_tokens`, it
    is at most a quarter of the context, so that pictures have space.

    Args:
        anyway: the model reasons although the request does not ask for it.
    """
    if anyway and not request.think:
        return max(1, min(CORRECTING, model.num_ctx // 4))
    if request.max_tokens or not request.reasoning_gives_way:
        return request.max_reasoning_tokens
    return max(1, min(request.max_reasoning_tokens, model.num_ctx // 4))


def reasoning_tokens(request: TaskRequest, model: Model) -> int:
    """The tokens of the context reserved for reasoning."""
    return reasoning_limit(request, model) if request.think and model.thinks else 0


def _planned(
    group: Group, pictures: Sequence[Picture], model: Model, detail: Detail, room: int
) -> dict[int, Size]:
    """The sizes of a group's pictures, by position. The longest text of the group counts.

    Args:
        room: tokens of the context that are not reserved for answer and reasoning.

    Raises:
        ContextOverflow: text and pictures do not fit.
    """
    asked = [ask for ask in group if ask.known is None]
    if not asked:
        return {}
    shown = asked[0].pictures
    bare = [Cost.of(_words(ask, model), [0] * len(shown)) for ask in asked]
    text = max(map(model.estimator.predict, bare))
    margin = max(LEAST_MARGIN, int(MARGIN * model.num_ctx))
    natural = [pictures[position].natural for position in shown]
    left = max(0, room - text - margin)
    fits = room >= text + margin  # also without pictures
    kept = 0  # for the pixels that separate neighbours; usually 0
    while fits and kept <= left:
        planned = plan(natural, model.image_rule, left - kept, detail)
        if planned is None:
            break
        sizes = dict(zip(shown, planned, strict=True))
        sent = _apart(group, sizes, model).values()
        over = sum(model.image_rule.tokens(*size) for size in sent) - left
        if over <= 0:
            return sizes
        kept += over
    need = sum(least(size, model.image_rule) for size in natural)
    for cost in bare:
        whole = replace(cost, image_tokens=need)
        model.estimator.doubt(whole, room - margin)
    answer = model.num_ctx - room
    raise ContextOverflow(
        f"The context of {model.num_ctx} tokens leaves {left} for images: {text} are text, "
        f"{answer} are for the answer and {margin} are a margin. {len(shown)} image(s) need at "
        f"least {need}. Send fewer images or less text, lower max_tokens, or raise NUM_CTX.",
        num_ctx=model.num_ctx,
        text_tokens=text,
        answer_tokens=answer,
        image_tokens=need,
    )


def _apart(group: Group, sizes: Mapping[int, Size], model: Model) -> dict[int, Size]:
    """The sizes to send. Neighbouring pictures of one message get different sizes if the engine
    would otherwise merge them."""
    if model.separation != "sizes":
        return dict(sizes)
    sent = dict(sizes)
    for ask in group:
        for turn in ask.turns:
            shown = [position for position in turn.pictures if position in sizes]
            larger = apart([sizes[position] for position in shown], model.image_rule)
            sent |= zip(shown, larger, strict=True)
    return sent
