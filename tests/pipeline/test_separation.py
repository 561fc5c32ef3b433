"""Neighbouring pictures never get sizes that an engine merges: 100 random sets of pictures."""

import base64
import io
from functools import cache
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.engine.registry import Model
from app.errors import ContextOverflow
from app.images.budget import separate_sizes
from app.images.decode import prepare
from app.images.picture import Picture
from app.models.daemon import Daemon
from app.models.tokens import ImageTokenRule, image_rule
from app.pipeline.plan import RequestPlan
from app.schemas import DescribeRequest, Detail
from app.settings import Settings
from app.tasks import describe
from tests.fake_ollama.versions import Rules, render
from tests.pictures import base64_of, encoded

SETTINGS = Settings(_env_file=None)
SEES = frozenset({"completion", "vision", "thinking"})
# Few sizes, so that neighbours are often equal.
SIZES = st.lists(
    st.sampled_from([(640, 480), (480, 640), (100, 100), (655, 481), (4000, 3000), (1240, 1754)]),
    min_size=2,
    max_size=6,
)
VERSIONS = st.sampled_from(["", "0.30.0", "0.31.0", "0.33.0", "0.34.0"])


@cache
def blank(size: tuple[int, int]) -> str:
    return base64_of(encoded(Image.new("L", size), "PNG"))


@settings(max_examples=100, deadline=None)
@given(sizes=SIZES, version=VERSIONS, detail=st.sampled_from(list(Detail)))
def test_sets_of_pictures(sizes: list[tuple[int, int]], version: str, detail: Detail) -> None:
    rule = image_rule({"general.architecture": "qwen3vl"}, version)
    model = Model("m", SEES, "qwen3vl", 32_768, rule, daemon=Daemon(version, "qwen3vl"))
    pictures = tuple(Picture(b"", at, None, *size) for at, size in enumerate(sizes))
    try:
        plan = RequestPlan.build(
            describe.TASK, DescribeRequest(detail=detail), model, SETTINGS, pictures
        )
    except ContextOverflow:
        return
    ((call,),) = plan.groups
    content = plan.build_prompt(call, [b""] * len(sizes)).messages[-1]["content"]
    sent = [(info.sent_width, info.sent_height) for info in plan.image_infos]
    if content.count("[img]") == len(sizes):
        assert "[img][img]" not in content
    else:
        assert "[img" not in content
        assert all(one != other for one, other in pairwise(sent))
    for drawn, size, pad in zip(plan.sizes, sent, plan.paddings, strict=True):
        assert drawn and (drawn[0] + pad[0], drawn[1] + pad[1]) == size
        assert sum(pad) <= 1
    assert sum(info.tokens for info in plan.image_infos) <= model.num_ctx
    assert [info.tokens for info in plan.image_infos] == [rule.tokens(*size) for size in sent]
    # Render as the engine does, with blank pictures of the sizes that are sent.
    messages = [
        {"role": "user", "content": content, "images": list(map(blank, sent))},
        {"role": "assistant", "content": "\n"},
    ]
    told = render(Rules(version or "0.34.0"), messages, None, True)
    assert [one.tokens for one in told.pictures] == [info.tokens for info in plan.image_infos]


@given(SIZES, st.sampled_from([ImageTokenRule(32, 1024, 4096), ImageTokenRule(28, 4, 256)]))
def test_neighbours_differ_and_nothing_else_changes(
    sizes: list[tuple[int, int]], rule: ImageTokenRule
) -> None:
    found = separate_sizes(sizes, rule)
    assert all(one != other for one, other in pairwise(found))
    for before, after in zip(sizes, found, strict=True):
        assert (after[0] - before[0], after[1] - before[1]) in ((0, 0), (1, 0), (0, 1))
    if all(one != other for one, other in pairwise(sizes)):
        assert found == tuple(sizes)


def test_a_padded_picture_is_the_same_with_its_edge_twice() -> None:
    image = Image.effect_noise((50, 40), 90).convert("RGB")
    data = encoded(image, "PNG")
    picture = Picture(data, 0, None, 50, 40, passthrough=True)
    for pad in ((1, 0), (0, 1), (1, 1)):
        sent = prepare(picture, (50, 40), pad)
        with Image.open(io.BytesIO(base64.b64decode(sent.base64))) as padded:
            assert padded.size == (50 + pad[0], 40 + pad[1])
            assert padded.convert("RGB").crop((0, 0, 50, 40)).tobytes() == image.tobytes()
            edge = padded.convert("RGB").getpixel((49 + pad[0], 39 + pad[1]))
            assert edge == image.getpixel((49, 39))
    assert base64.b64decode(prepare(picture, (50, 40)).base64) == data, "passed through unchanged"
