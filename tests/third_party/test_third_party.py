"""The OpenAI clients that people use, each as a program of its own against a running server."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.background_server import BackgroundServer, answers
from tests.fake_ollama.script import says
from tests.fake_ollama.server import FakeOllama
from tests.inference_server import Server
from tests.ollama_daemon.process import Daemon
from tests.pictures import encoded, scene
from tests.ports import free_port
from tests.third_party import environment

HERE = Path(__file__).parent
PYTHON = ("PATH", "HOME", "LANG")
LITELLM = {
    "NO_PROXY": "*",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
}


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "scene.jpg"
    path.write_bytes(encoded(scene(160, 120)))
    return path


def run(*command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """What a program printed; it must end well."""
    kept = {name: value for name, value in os.environ.items() if name in PYTHON}
    kept |= {"NO_PROXY": "*", **(env or {})}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=kept, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def said(server: Server, picture: Path, script: str, model: str = "tiny-vlm") -> Any:
    api = f"{server.url}/v1"
    return json.loads(run(environment.python(), HERE / script, api, model, picture))


def test_openai(on_daemon: Server, daemon: Daemon, picture: Path) -> None:
    told = said(on_daemon, picture, "with_openai.py")
    whole, streamed = told["whole"], told["streamed"]
    assert whole["model"] == "tiny-vlm"
    usage = whole["usage"]
    assert 0 < usage["completion_tokens"] <= 12
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert whole["second_images"] == 2
    first, _, word = whole["text"].strip().rpartition(" ")
    assert word not in whole["stopped"] and first in whole["stopped"]
    assert streamed["text"] == whole["text"]
    assert streamed["roles"] == ["assistant", *[None] * (len(streamed["roles"]) - 1)]
    assert streamed["finishes"] == [*[None] * (len(streamed["finishes"]) - 1), whole["finish"]]
    assert streamed["usages"] == [*[False] * (len(streamed["usages"]) - 1), True]
    assert streamed["ids"] == 1
    assert told["async"] == {"text": whole["text"], "streamed": whole["text"]}
    assert told["parsed"] == {"parsed": True, "streamed": True, "object": True}
    assert told["refused"] == {
        f"{name} {stream}": problem
        for name, problem in {
            "model": ["NotFoundError", "model_not_found", None],
            "image": ["UnprocessableEntityError", "invalid_parameter", "image"],
            "tools": ["UnprocessableEntityError", "invalid_parameter", "tools"],
            "temperature": ["UnprocessableEntityError", "invalid_parameter", "temperature"],
            "long": ["UnprocessableEntityError", "context_overflow", None],
        }.items()
        for stream in (False, True)
    }
    assert "tiny-vlm" in told["models"]
    assert told["model"] == "tiny-vlm"


def test_openai_where_the_model_errs(picture: Path, tmp_path: Path) -> None:
    """Wrong data is asked for once more; what stays wrong is an error, never data."""
    thing = {"label": "cup", "bbox_2d": [100, 200, 300, 400]}
    right, wrong = ({"things": [one]} for one in (thing, {"label": "cup"}))
    with FakeOllama() as engine:
        engine.play(*(says(json.dumps(one)) for one in (wrong, right, wrong)))
        settings = {"OLLAMA_HOST": engine.url, "MODEL_NAME": "fake-vlm", "NUM_CTX": "8192"}
        with Server(tmp_path / "log", **settings) as server:
            told = said(server, picture, "with_schemas.py", "fake-vlm")
    assert told["found"] == right
    assert told["said"] == ""
    assert told["refused"] == [
        ["UnprocessableEntityError", "schema_unsatisfied"],
        ["UnprocessableEntityError", "schema_unsatisfied"],
    ]


def test_langchain(on_daemon: Server, daemon: Daemon, picture: Path) -> None:
    told = said(on_daemon, picture, "with_langchain.py")
    assert told["text"] == told["streamed"] != ""
    assert 0 < told["tokens"]["output_tokens"] <= 12
    assert told["pieces"] > 3
    assert told["parsed"] is True


def test_llm(on_daemon: Server, daemon: Daemon, picture: Path, tmp_path: Path) -> None:
    (tmp_path / "extra-openai-models.yaml").write_text(
        f"- model_id: here\n  model_name: tiny-vlm\n  api_base: {on_daemon.url}/v1\n"
        "  vision: true\n  supports_schema: true\n"
    )
    program = environment.python().with_name("llm")
    home = {"LLM_USER_PATH": str(tmp_path), "OPENAI_API_KEY": "none"}
    asked = ["-m", "here", "What is it?", "-a", str(picture), "-o", "temperature", "0"]
    streamed = run(program, *asked, "-o", "max_tokens", "12", env=home)
    whole = run(program, *asked, "-o", "max_tokens", "12", "--no-stream", env=home)
    assert streamed.split() == whole.split() != []
    held = run(program, *asked, "--schema", "count int", "-o", "max_tokens", "100", env=home)
    assert isinstance(json.loads(held)["count"], int)


def test_litellm_in_front(on_daemon: Server, daemon: Daemon, picture: Path, tmp_path: Path) -> None:
    """Its proxy, and the `openai` package before that."""
    config = tmp_path / "litellm.yaml"
    config.write_text(
        "model_list:\n  - model_name: front\n    litellm_params:\n"
        f"      model: openai/tiny-vlm\n      api_base: {on_daemon.url}/v1\n      api_key: none\n"
    )
    port = free_port()
    program = environment.python().with_name("litellm")
    kept = {name: value for name, value in os.environ.items() if name in PYTHON}
    with BackgroundServer(
        [program, "--config", config, "--host", "127.0.0.1", "--port", str(port)],
        tmp_path / "litellm.log",
        ready=answers(f"http://127.0.0.1:{port}/health/liveliness", 200),
        environment=kept | LITELLM,
        cwd=tmp_path,
    ):
        script = HERE / "through_litellm.py"
        out = run(environment.python(), script, f"http://127.0.0.1:{port}/v1", "front", picture)
    told = json.loads(out)
    assert told["text"] == told["streamed"] != ""
    assert told["held"] in ({"colour": "red"}, {"colour": "blue"})
    assert told["refused"] == 422


def test_javascript(on_daemon: Server, daemon: Daemon, picture: Path) -> None:
    node, home = environment.node()
    script = home / "with_openai.mjs"  # where it finds the package
    script.write_text((HERE / "with_openai.mjs").read_text())
    told = json.loads(run(node, script, f"{on_daemon.url}/v1", "tiny-vlm", picture, cwd=home))
    assert told["text"] == told["streamed"] != ""
    assert told["total"] > 12
    assert told["held"]["colour"] in {"red", "blue"}
    assert told["refused"] == ["NotFoundError", 404, "model_not_found"]
    assert "tiny-vlm" in told["models"]
