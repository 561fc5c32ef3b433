"""`describe`, `ocr`, `ask`, `extract`, `detect`: a few files, the answers streamed."""

import inspect
import sys
from collections.abc import Callable
from contextlib import aclosing
from inspect import Parameter
from typing import Annotated, Any

import typer

from app.cli.answer_output import AnswerOutput, JsonOutput, TextOutput, one_answer
from app.cli.inputs import Input, expand_inputs
from app.cli.server_options import ApiKey, Server, server_and_key
from app.cli.task_options import parameters, request_fields
from app.cli.terminal import run_command
from app.client.client import Client
from app.client.problem import ServerProblem

TASK_COMMANDS = {
    "describe": "describe",
    "ocr": "ocr",
    "ask": "vqa",
    "extract": "extract",
    "detect": "detect",
}
HELP = {
    "describe": "Describe an image.",
    "ocr": "Read all text in an image, in reading order.",
    "ask": "Answer questions about an image (--question).",
    "extract": "Extract the fields of a JSON Schema from an image (--schema).",
    "detect": "Find objects in an image (--labels), with boxes in pixels.",
}
Files = Annotated[
    list[str],
    typer.Argument(
        help="Images and documents: files, globs, http(s) URLs; - reads standard input.",
        show_default=False,
    ),
]
AsJson = Annotated[
    bool | None,
    typer.Option(
        "--json/--text",
        help="Print one line of JSON per answer, or text. Default: text on a terminal, else JSON.",
        show_default=False,
    ),
]
Together = Annotated[
    bool, typer.Option("--together", help="Send all files in one request, for one answer.")
]


def command(name: str) -> Callable[..., None]:
    """The command of a task; its options are the fields of the task."""
    task = TASK_COMMANDS[name]

    def run_task(
        files: Files,
        together: Together = False,
        as_json: AsJson = None,
        server: Server = "",
        api_key: ApiKey = "",
        **options: Any,
    ) -> None:
        fields = request_fields(task, options)
        named = expand_inputs(files)
        groups = [named] if together else [[one] for one in named]
        url, key = server_and_key(server, api_key)
        to_json = not sys.stdout.isatty() if as_json is None else as_json
        output = JsonOutput() if to_json else _text_output(task, fields, len(groups) > 1)
        run_command(_run_requests(Client(url, key), task, groups, fields, output))

    return with_task_options(run_task, task, f"{HELP[name]}")


def with_task_options(run_task: Callable[..., None], task: str, about: str) -> Callable[..., None]:
    """Give the function a signature with the task's options in place of `**options`, for typer.

    The options of the task come first, the server's last.
    """
    files, *rest = [
        one.replace(kind=Parameter.KEYWORD_ONLY)
        for one in inspect.signature(run_task).parameters.values()
        if one.kind != Parameter.VAR_KEYWORD
    ]
    own, common = parameters(task)
    signature = inspect.Signature([files, *own, *rest[:-2], *common, *rest[-2:]])
    run_task.__signature__ = signature  # type: ignore[attr-defined]
    run_task.__doc__ = about
    return run_task


def _text_output(task: str, fields: dict[str, Any], several: bool) -> TextOutput:
    structured = task in ("extract", "detect") or fields.get("format") == "json"
    return TextOutput(several=several, questions=fields.get("question", []), structured=structured)


async def _run_requests(
    client: Client,
    task: str,
    groups: list[list[Input]],
    fields: dict[str, Any],
    output: AnswerOutput,
) -> int:
    """Run the requests one by one; return 1 if one has no answer, else 0."""
    status = 0
    async with client:
        for group in groups:
            with one_answer(output, ", ".join(one.name for one in group)):
                problem = await _run_request(client, task, group, fields, output)
            if problem:
                status = 1
                if problem.unreachable or problem.status == 401:
                    break  # the other requests would fail, too
    return status


async def _run_request(
    client: Client, task: str, group: list[Input], fields: dict[str, Any], output: AnswerOutput
) -> ServerProblem | None:
    """Run one request and print its answer; return the problem, if there is one."""
    images = [one.image for one in group]
    try:
        async with aclosing(client.stream(task, images, fields)) as events:
            async for event in events:
                output.handle(event)
    except BrokenPipeError:
        raise  # from standard output, not from the file
    except OSError as error:
        problem = ServerProblem(
            {"code": "unreadable_file", "detail": f"The file cannot be read: {error.strerror}."}
        )
    except ServerProblem as error:
        problem = error
    else:
        return None
    output.fail(problem)
    return problem
