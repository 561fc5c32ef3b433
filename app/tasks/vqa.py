"""VQA: answers questions about the image(s) in sequence, on the same prompt prefix."""

from collections.abc import Sequence

from app.images.picture import Picture
from app.schemas import QuestionAnswer, VqaRequest
from app.tasks.language import instruction
from app.tasks.reader import Part
from app.tasks.task import EXACT, Ask, Group, Task, several

ANSWER = (
    "Answer the question from what can be seen in the image. Be short and exact. If the image "
    "does not show it, say so."
)
MAX_TOKENS = 512


def asks(
    request: VqaRequest, pictures: Sequence[Picture], default_language: str
) -> tuple[Group, ...]:
    """One model call for each question. The question comes last, so that the daemon's prefix cache
    covers everything before it."""
    everything = tuple(range(len(pictures)))
    turns = []
    for index, question in enumerate(request.question):
        language = instruction(request.language, question, default_language)
        asked = f"Question: {question}"
        lines = [ANSWER, several(pictures), request.prompt or "", asked, language]
        turns.append(Ask.of("\n".join(filter(None, lines)), everything, question=index))
    return (tuple(turns),)


def answers(
    request: VqaRequest, pictures: Sequence[Picture], parts: Sequence[Part]
) -> dict[str, list[QuestionAnswer]]:
    """The questions with their answers, in order."""
    pairs = zip(request.question, parts, strict=True)
    return {"answers": [QuestionAnswer(question=q, text=part.text) for q, part in pairs]}


TASK = Task(
    name="vqa",
    summary="Answer questions about the image(s)",
    request=VqaRequest,
    asks=asks,
    sampling=EXACT,
    max_tokens=lambda _request: MAX_TOKENS,
    read=answers,
)
