"""The fake daemon's picture rules are llama.cpp's own: its library is asked the same."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.engine.registry import Model
from app.images.picture import Picture
from app.models.daemon import Daemon
from app.models.tokens import image_rule
from app.pipeline.plan import RequestPlan
from app.schemas import DescribeRequest
from app.settings import Settings
from app.tasks import describe
from tests.fake_ollama.versions import Rules
from tests.install_lock import one_at_a_time
from tests.mtmd.install import WHEELS, install
from tests.mtmd.model import write_projector, write_text
from tests.ollama_daemon.install import InstallError

Sizes = list[tuple[int, int]]
Tokenize = Callable[..., list[list[int]]]

CURRENT = Rules("0.33.0")


@pytest.fixture(scope="module")
def tokenize(tmp_path_factory: pytest.TempPathFactory) -> Tokenize:
    """The tokens of each picture of each prompt, as they reach the model."""
    try:
        homes = {build: one_at_a_time(install)(build) for build in WHEELS}
    except InstallError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("mtmd")
    text, projector = folder / "text.gguf", folder / "mmproj.gguf"
    write_text(text)
    write_projector(projector)

    def run(prompts: list[tuple[str, Sizes]], build: str = "b10330") -> list[list[int]]:
        script = Path(__file__).with_name("library.py")
        lines = [json.dumps({"text": text, "pictures": sizes}) for text, sizes in prompts]
        done = subprocess.run(
            [sys.executable, str(script), str(text), str(projector), "1024"],
            env={**os.environ, "PYTHONPATH": str(homes[build])},
            input="\n".join(lines),
            capture_output=True,
            text=True,
            check=False,
        )
        told = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
        assert len(told) == len(prompts), done.stderr[-2000:]
        chunks = [json.loads(line.removeprefix("RESULT")) for line in told]
        return [[tokens for kind, tokens in one if kind == 1] for one in chunks]

    return run


def test_tokens_of_a_picture(tokenize: Tokenize) -> None:
    """300 sizes: the fake and the server's own plan count as llama.cpp does."""
    rng = random.Random(17)
    sizes = [(640, 480), (656, 464), (1600, 1200), (4000, 3000), (20, 30), (1, 1), (8000, 80)]
    while len(sizes) < 300:
        width, height = int(10 ** rng.uniform(0, 3.8)), int(10 ** rng.uniform(0, 3.8))
        if max(width, height) <= 100 * min(width, height):
            sizes.append((width, height))
    counted = [tokens for (tokens,) in tokenize([("<image>", [size]) for size in sizes])]
    assert counted == [CURRENT.tokens(*size) for size in sizes]
    plan = image_rule({"general.architecture": "qwen3vl"}, "0.33.0")
    assert counted == [plan.tokens(*size) for size in sizes]


def test_equal_neighbours_are_fused(tokenize: Tokenize) -> None:
    same, wider = (640, 480), (641, 480)
    prompts: list[tuple[str, Sizes]] = [
        ("<image><image>?", [same] * 2),
        ("<image>" * 6, [same] * 6),
        ("<image>" * 7, [same] * 7),
        ("<image><image>", [same, wider]),
        ("1:<image>2:<image>", [same] * 2),
        ("<image>?<|im_end|>\n<|im_start|>user\n<image>?", [same] * 2),
        ("<image>" * 4, [same, wider, same, wider]),
    ]
    later = tokenize(prompts, "b10603")
    assert [len(one) for one in later] == [len(sizes) for _, sizes in prompts]
    counted = tokenize(prompts)
    assert [len(one) for one in counted] == [1, 3, 4, 2, 2, 2, 4]
    assert {tokens for one in counted for tokens in one} == {1036}


@pytest.mark.parametrize("version", ["0.30.0", "0.33.0"])
@pytest.mark.parametrize(
    "sizes", [[(640, 480)] * 2, [(640, 480)] * 6, [(1240, 1754)] * 8, [(100, 100)] * 3]
)
def test_what_the_server_sends_stays_apart(tokenize: Tokenize, version: str, sizes: Sizes) -> None:
    """By a pixel where tags are not known to work, by text where they are: each picture is one to
    llama.cpp, and costs what was planned."""
    daemon = Daemon(version, "qwen3vl")
    rule = image_rule({"general.architecture": "qwen3vl"}, version)
    sees = frozenset({"completion", "vision", "thinking"})
    model = Model("m", sees, "qwen3vl", 32_768, rule, daemon=daemon)
    pictures = tuple(Picture(b"", at, None, *size) for at, size in enumerate(sizes))
    settings = Settings(_env_file=None)
    plan = RequestPlan.build(describe.TASK, DescribeRequest(), model, settings, pictures)
    ((call,),) = plan.groups
    turns = []
    for message in plan.build_prompt(call, [b""] * len(sizes)).messages:
        content = str(message["content"])
        if message.get("images"):
            tagged = content.replace("[img]", "<image>")
            content = tagged if "<image>" in tagged else "<image>" * len(sizes) + content
        turns.append(f"<|im_start|>{message['role']}\n{content}<|im_end|>\n")
    sent = [(info.sent_width, info.sent_height) for info in plan.image_infos]
    (counted,) = tokenize([("".join(turns), sent)])
    assert counted == [info.tokens for info in plan.image_infos]
    (before,) = tokenize([("<image>" * len(sizes), sizes)])
    assert len(before) == (len(sizes) + 1) // 2, "as it was sent before"
