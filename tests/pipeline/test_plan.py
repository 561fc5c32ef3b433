"""Any request is fitted into the context, or refused with the token counts."""

from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.registry import Model
from app.errors import ContextOverflow
from app.images.picture import MAX_ASPECT, Picture
from app.models.tokens import ImageTokenRule
from app.pipeline.plan import RequestPlan
from app.schemas import DescribeRequest, Detail, OcrRequest, TaskRequest, VqaRequest
from app.settings import Settings
from app.tasks import describe, ocr, vqa
from app.tasks.task import Task

SETTINGS = Settings(_env_file=None)
RULES = st.sampled_from(
    [
        ImageTokenRule(32, 64, 2048),
        ImageTokenRule(32, 1024, 4096),
        ImageTokenRule(28, 4, 256),
        ImageTokenRule(),
    ]
)
SIDES = st.integers(1, 16_384)
SIZES = st.tuples(SIDES, SIDES).filter(lambda size: max(size) <= MAX_ASPECT * min(size))
TASKS = st.sampled_from(
    [
        (describe.TASK, DescribeRequest),
        (ocr.TASK, OcrRequest),
        (vqa.TASK, partial(VqaRequest, question=["Why?", "어디예요?"])),
    ]
)


@settings(max_examples=1500, deadline=None)
@given(
    sizes=st.lists(SIZES, min_size=1, max_size=16),
    rule=RULES,
    num_ctx=st.integers(512, 262_144),
    max_tokens=st.none() | st.integers(1, 300_000),
    prompt=st.none() | st.text(max_size=4000),
    detail=st.sampled_from(list(Detail)),
    think=st.booleans(),
    task=TASKS,
)
def test_the_plan_fits_or_is_refused(
    task: tuple[Task, Callable[..., TaskRequest]],
    sizes: list[tuple[int, int]],
    rule: ImageTokenRule,
    num_ctx: int,
    **fields: Any,
) -> None:
    which, request_of = task
    request = request_of(**fields)
    capabilities = frozenset({"completion", "vision", "thinking"})
    model = Model("m", capabilities, "qwen3vl", num_ctx, rule)
    pictures = tuple(Picture(b"", i, None, *size) for i, size in enumerate(sizes))
    try:
        plan = RequestPlan.build(which, request, model, SETTINGS, pictures)
    except ContextOverflow as refused:
        assert refused.extra["num_ctx"] == num_ctx
        numbers = ("text_tokens", "answer_tokens", "image_tokens")
        assert all(isinstance(refused.extra[name], int) for name in numbers)
        return
    infos = plan.image_infos
    for group in plan.groups:
        for call in group:
            prompt_of_turn = plan.build_prompt(call, [])
            answer = prompt_of_turn.max_tokens + (
                request.max_reasoning_tokens if request.think else 0
            )
            assert model.estimator.predict(plan.cost(call)) + answer <= num_ctx
            shown = [infos[position] for position in call.pictures]
            assert plan.cost(call).image_tokens == sum(info.tokens for info in shown)
    for info in infos:
        assert min(info.sent_width, info.sent_height) >= rule.cell
        assert info.tokens <= max(rule.max_tokens, rule.min_tokens * 2)
