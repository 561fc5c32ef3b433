"""The plan of a request: the model calls, and the size and token count of each picture."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from app.engine import escaping
from app.engine.generate import Prompt
from app.engine.registry import Model
from app.errors import ContextOverflow
from app.images.budget import Size, min_image_tokens, plan_sizes, separate_sizes
from app.images.picture import Picture
from app.models.tokens import PromptCost
from app.schemas import Detail, ImageInfo, TaskRequest
from app.settings import Settings
from app.tasks.task import CallGroup, ModelCall, Task, Turn, sampling_options

# Tokens kept free for errors of the estimate: this share of the context, but at least 16.
MARGIN_SHARE = 0.02
MIN_MARGIN_TOKENS = 16
CORRECTION_REASONING_TOKENS = 1024  # reasoning tokens at most in a correction call


@dataclass(frozen=True, slots=True)
class RequestPlan:
    """The plan of one request to one model.

    pictures: in the order of the request. Positions elsewhere are indices into this tuple.
    sizes: (width, height) in pixels that each picture is scaled to; None if it is not sent.
    paddings: columns and rows of pixels added so that the engine does not merge two neighbours.
    image_infos: of each picture as it is sent, padding included, for the response.
    """

    task: Task
    request: TaskRequest
    model: Model
    settings: Settings
    pictures: tuple[Picture, ...]
    groups: tuple[CallGroup, ...]
    sizes: tuple[Size | None, ...]
    paddings: tuple[Size, ...]
    image_infos: tuple[ImageInfo, ...]

    @classmethod
    def build(
        cls,
        task: Task,
        request: TaskRequest,
        model: Model,
        settings: Settings,
        pictures: tuple[Picture, ...],
    ) -> "RequestPlan":
        """Plan the model calls, and fit the pictures of each group into the context.

        Raises:
            ContextOverflow: prompt, pictures and answer do not fit; the detail has the numbers.
            InvalidParameter: the task refuses the request.
        """
        groups = task.plan_calls(request, pictures, settings.default_language)
        pictures = _without_unused_regions(groups, pictures)
        sizes_by_position: dict[int, Size] = {}
        sent_by_position: dict[int, Size] = {}
        available_tokens = (
            model.num_ctx
            - max_answer_tokens(task, request, model)
            - reserved_reasoning_tokens(request, model)
        )
        for group in groups:
            planned = _plan_sizes(group, pictures, model, request.detail, available_tokens)
            sizes_by_position |= planned
            sent_by_position |= _separate_sizes(group, planned, model)
        sizes = tuple(sizes_by_position.get(position) for position in range(len(pictures)))
        sent = tuple(sent_by_position.get(position) for position in range(len(pictures)))
        paddings = tuple(
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
        return cls(task, request, model, settings, pictures, groups, sizes, paddings, infos)

    def without_file_data(self, positions: Collection[int]) -> "RequestPlan":
        """The plan without the file bytes of the pictures at `positions`; their metadata stays."""
        pictures = tuple(
            replace(picture, data=b"") if position in positions else picture
            for position, picture in enumerate(self.pictures)
        )
        return replace(self, pictures=pictures)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about changed request parameters."""
        asked, kept = (
            self.request.max_tokens,
            max_answer_tokens(self.task, self.request, self.model),
        )
        if asked is None or asked == kept:
            return ()
        return (f"max_tokens was lowered to {kept}: the context has {self.model.num_ctx} tokens.",)

    def is_known(self) -> bool:
        """Whether all answers are known without a model call."""
        return all(call.known_answer is not None for group in self.groups for call in group)

    def known_pages(self) -> str:
        """The pages answered from the text layer, such as `1-3, 7`; empty if there are none."""
        known = [
            self.pictures[call.pictures[0]].page or 1
            for group in self.groups
            for call in group
            if call.known_answer is not None
        ]
        runs: list[list[int]] = []
        for page in known:
            if runs and page == runs[-1][-1] + 1:
                runs[-1].append(page)
            else:
                runs.append([page])
        return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)

    def cost(self, call: ModelCall) -> PromptCost:
        """The estimated cost of a model call."""
        tokens = [self.image_infos[position].tokens for position in call.pictures]
        return PromptCost.of(_call_text(call, self.model), [one for one in tokens if one])

    def build_prompt(self, call: ModelCall, images: Sequence[bytes]) -> Prompt:
        """The prompt of a model call.

        The system message and the images come first and the text that differs comes last, so that
        the daemon's prefix cache applies. (The daemon puts a message's images before its text.)

        Args:
            images: base64 bytes, in the order of the messages.
        """
        left = iter(images)
        messages: list[dict[str, Any]] = []
        contents = _message_texts(call.turns, self.model)
        for turn, content in zip(call.turns, contents, strict=True):
            message: dict[str, Any] = {"role": turn.role, "content": content}
            if turn.pictures:
                message["images"] = list(islice(left, len(turn.pictures)))
            messages.append(message)
        return Prompt(
            model=self.model,
            messages=tuple(messages),
            options=sampling_options(self.task, self.request, self.model.can_think),
            max_tokens=max_answer_tokens(self.task, self.request, self.model),
            keep_alive=self.settings.keep_alive_value,
            think=self.request.think if call.think is None else call.think and self.model.can_think,
            format=call.enforceable_format if self.model.enforces_format_at_start else call.format,
            max_reasoning_tokens=reasoning_limit(self.request, self.model, call.think),
            stall_s=self.settings.stall_timeout_s,
            escaped=any(map(escaping.is_escaped, contents)),
        )


def _without_unused_regions(
    groups: Sequence[CallGroup], pictures: Sequence[Picture]
) -> tuple[Picture, ...]:
    """The pictures, with `region` cleared unless a model call asks about the region."""
    regions = {
        position for group in groups for call in group if call.region for position in call.pictures
    }
    return tuple(
        picture if position in regions or picture.region is None else replace(picture, region=None)
        for position, picture in enumerate(pictures)
    )


def _message_texts(turns: Sequence[Turn], model: Model) -> list[str]:
    """The texts of the messages as sent to the daemon."""
    if model.image_separation != "tags":
        return [escaping.escape(turn.text) for turn in turns]
    number, contents = 1, []
    for turn in turns:
        contents.append(escaping.tag_images(turn.text, len(turn.pictures), number))
        number += len(turn.pictures)
    return contents


def _call_text(call: ModelCall, model: Model) -> str:
    return "".join(_message_texts(call.turns, model))


def max_answer_tokens(task: Task, request: TaskRequest, model: Model) -> int:
    """The token limit of the answer.

    It is the request's `max_tokens` if the context can hold that. Otherwise it is the task's
    default, at most a half of the context (a quarter with reasoning that may shrink), so that
    pictures and reasoning have space. A `max_tokens` that the context cannot hold is lowered to
    that share.
    """
    share = 4 if request.think and model.can_think and request.reasoning_budget_is_soft else 2
    most, asked = model.num_ctx // share, request.max_tokens
    if asked is None:
        return min(task.max_tokens(request), most)
    return asked if asked < model.num_ctx else most


def reasoning_limit(request: TaskRequest, model: Model, forced: bool | None = None) -> int:
    """The token limit of the reasoning. If it may shrink and the request sets no `max_tokens`, it
    is at most a quarter of the context, so that pictures have space.

    Args:
        forced: the model reasons although the request does not ask for it.
    """
    if forced and not request.think:
        return max(1, min(CORRECTION_REASONING_TOKENS, model.num_ctx // 4))
    if request.max_tokens or not request.reasoning_budget_is_soft:
        return request.max_reasoning_tokens
    return max(1, min(request.max_reasoning_tokens, model.num_ctx // 4))


def reserved_reasoning_tokens(request: TaskRequest, model: Model) -> int:
    """The tokens of the context reserved for reasoning."""
    return reasoning_limit(request, model) if request.think and model.can_think else 0


def _plan_sizes(
    group: CallGroup,
    pictures: Sequence[Picture],
    model: Model,
    detail: Detail,
    available_tokens: int,
) -> dict[int, Size]:
    """The sizes of a group's pictures, by position. The longest text of the group counts.

    Args:
        available_tokens: tokens of the context that are not reserved for answer and reasoning.

    Raises:
        ContextOverflow: text and pictures do not fit.
    """
    asked = [call for call in group if call.known_answer is None]
    if not asked:
        return {}
    shown = asked[0].pictures
    bare = [PromptCost.of(_call_text(call, model), [0] * len(shown)) for call in asked]
    text = max(map(model.estimator.predict, bare))
    margin = max(MIN_MARGIN_TOKENS, int(MARGIN_SHARE * model.num_ctx))
    natural = [pictures[position].natural_size for position in shown]
    left = max(0, available_tokens - text - margin)
    fits = available_tokens >= text + margin  # also without pictures
    kept = 0  # for the pixels that separate neighbours; usually 0
    while fits and kept <= left:
        planned = plan_sizes(natural, model.image_rule, left - kept, detail)
        if planned is None:
            break
        sizes = dict(zip(shown, planned, strict=True))
        sent = _separate_sizes(group, sizes, model).values()
        over = sum(model.image_rule.tokens(*size) for size in sent) - left
        if over <= 0:
            return sizes
        kept += over
    needed_tokens = sum(min_image_tokens(size, model.image_rule) for size in natural)
    for cost in bare:
        whole = replace(cost, image_tokens=needed_tokens)
        model.estimator.relax(whole, available_tokens - margin)
    answer = model.num_ctx - available_tokens
    raise ContextOverflow(
        f"The context of {model.num_ctx} tokens leaves {left} for images: {text} are text, "
        f"{answer} are for the answer and {margin} are a margin. {len(shown)} image(s) need at "
        f"least {needed_tokens}. Send fewer images or less text, lower max_tokens, or raise "
        "NUM_CTX.",
        num_ctx=model.num_ctx,
        text_tokens=text,
        answer_tokens=answer,
        image_tokens=needed_tokens,
    )


def _separate_sizes(group: CallGroup, sizes: Mapping[int, Size], model: Model) -> dict[int, Size]:
    """The sizes to send. Neighbouring pictures of one message get different sizes if the engine
    would otherwise merge them."""
    if model.image_separation != "sizes":
        return dict(sizes)
    sent = dict(sizes)
    for call in group:
        for turn in call.turns:
            shown = [position for position in turn.pictures if position in sizes]
            larger = separate_sizes([sizes[position] for position in shown], model.image_rule)
            sent |= zip(shown, larger, strict=True)
    return sent
