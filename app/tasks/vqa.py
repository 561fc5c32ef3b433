"""VQA: answers questions about the image(s) in sequence, on the same prompt prefix."""

from collections.abc import Sequence

from app.images.picture import Picture
from app.schemas import QuestionAnswer, VqaRequest
from app.tasks.language import answer_language_instruction
from app.tasks.parsers.base import AnswerPart
from app.tasks.task import EXACT_SAMPLING, CallGroup, ModelCall, Task, image_count_sentence

PROMPT = (
    "Answer the question from what can be seen in the image. Be short and exact. If the image "
    "does not show it, say so."
)
MAX_TOKENS = 512


def plan_calls(
    request: VqaRequest, pictures: Sequence[Picture], default_language: str
) -> tuple[CallGroup, ...]:
    """One model call for each question. The question comes last, so that the daemon's prefix cache
    covers everything before it."""
    everything = tuple(range(len(pictures)))
    turns = []
    for index, question in enumerate(request.question):
        language = answer_language_instruction(request.language, question, default_language)
        asked = f"Question: {question}"
        lines = [PROMPT, image_count_sentence(pictures), request.prompt or "", asked, language]
        turns.append(
            ModelCall.after_system("\n".join(filter(None, lines)), everything, question=index)
        )
    return (tuple(turns),)


def question_answers(
    request: VqaRequest, pictures: Sequence[Picture], parts: Sequence[AnswerPart]
) -> dict[str, list[QuestionAnswer]]:
    """The questions with their answers, in order."""
    pairs = zip(request.question, parts, strict=True)
    return {"answers": [QuestionAnswer(question=q, text=part.text) for q, part in pairs]}


TASK = Task(
    name="vqa",
    summary="Answer questions about the image(s)",
    request=VqaRequest,
    plan_calls=plan_calls,
    sampling=EXACT_SAMPLING,
    max_tokens=lambda _request: MAX_TOKENS,
    build_fields=question_answers,
)
