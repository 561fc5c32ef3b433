"""The shape of a problem is that of the protocol, however early the request is refused."""

import pytest
from fastapi import FastAPI

from app.problems import OPENAI, RFC_9457, ProblemFormat, declared_formats, problem_format
from app.routes import ops
from app.routes.openai import endpoints as openai
from app.routes.tasks import endpoints as tasks


@pytest.fixture(scope="module")
def app() -> FastAPI:
    made = FastAPI()
    for router in (tasks.router(max_images=4), openai.router, ops.router):
        made.include_router(router)
    made.state.problem_formats = declared_formats(made.routes)
    return made


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/v1/chat/completions", OPENAI),
        ("/v1/models", OPENAI),
        ("/v1/models/some/model:8b", OPENAI),
        ("/v1/ocr", RFC_9457),
        ("/v1/status", RFC_9457),
        ("/v1/chat", RFC_9457),
        ("/nowhere", RFC_9457),
    ],
)
def test_before_routing_the_path_finds_its_route(
    app: FastAPI, path: str, form: ProblemFormat
) -> None:
    assert problem_format({"path": path, "app": app}) is form
