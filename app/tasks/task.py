"""What makes a task: the request it takes, what it asks, and how the model is set for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.schemas import TaskRequest

# The same in every request of every task: with the images right after it, it is the prefix that
# the daemon keeps, so a second question on an image is cheap.
SYSTEM = (
    "You are a careful visual assistant. You say only what can be seen in the image. "
    "You never invent text, names or numbers; what you cannot see or read, you say so."
)

# Qwen's own sampling for answering without thoughts, and with them (Qwen3-VL model card).
INSTRUCT = {"temperature": 0.7, "top_p": 0.8, "top_k": 20, "presence_penalty": 1.5}
THINKING = {"temperature": 1.0, "top_p": 0.95, "top_k": 20, "presence_penalty": 0.0}
# For what has one right answer.
EXACT = {"temperature": 0.0, "top_p": 1.0, "top_k": 20, "presence_penalty": 0.0}


@dataclass(frozen=True, slots=True)
class Ask:
    """One turn of the user. `image` is the one it is about, None for all of the request's;
    `question` is the index of the question that it puts."""

    text: str
    image: int | None = None
    question: int | None = None


@dataclass(frozen=True)
class Task:
    """What a task is. `asks` takes the request, the number of images and the default language;
    `read` takes the request and the text of each turn, and gives the answer's own fields."""

    name: str
    summary: str
    request: type[TaskRequest]
    asks: Callable[[Any, int, str], tuple[Ask, ...]]
    sampling: Mapping[str, float]
    max_tokens: Callable[[Any], int]
    read: Callable[[Any, list[str]], dict[str, Any]] = lambda _request, _parts: {}


def options(task: Task, request: TaskRequest, thinks: bool) -> dict[str, Any]:
    """Ollama's options: the task's own, then the model's where it thinks, then the request's."""
    chosen = dict(THINKING if request.think and thinks else task.sampling)
    if request.temperature is not None:
        chosen["temperature"] = request.temperature
    if request.seed is not None:
        chosen["seed"] = request.seed
    return chosen
