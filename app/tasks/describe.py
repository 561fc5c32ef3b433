"""Describe: describes the image(s)."""

from collections.abc import Sequence

from app.images.picture import Picture
from app.schemas import DescribeRequest, Style
from app.tasks.language import answer_language_instruction
from app.tasks.task import INSTRUCT_SAMPLING, CallGroup, Task, image_count_sentence, single_call

PROMPTS = {
    Style.CAPTION: "Describe this image in one short caption of at most 15 words.",
    Style.PARAGRAPH: (
        "Describe this image in one paragraph: what it shows, where things are, and any text "
        "that matters."
    ),
    Style.DETAILED: (
        "Describe this image in detail: first what it is as a whole, then every part from "
        "foreground to background, with positions, colours, numbers of things, readable text, "
        "and how it was taken or made."
    ),
    Style.ALT_TEXT: (
        "Describe this image as alt text for someone who cannot see it: one or two sentences, at "
        "most 250 characters, what matters first, without 'image of' or 'picture of'."
    ),
}
MAX_TOKENS = {Style.CAPTION: 96, Style.PARAGRAPH: 512, Style.DETAILED: 1536, Style.ALT_TEXT: 160}


def plan_calls(
    request: DescribeRequest, pictures: Sequence[Picture], default_language: str
) -> tuple[CallGroup, ...]:
    """One model call about all pictures."""
    image_count = image_count_sentence(pictures)
    lines = [
        PROMPTS[request.style],
        image_count and f"{image_count} Describe each in its order, then what joins them.",
        request.prompt or "",
        answer_language_instruction(request.language, request.prompt, default_language),
    ]
    return single_call(lines, pictures)


TASK = Task(
    name="describe",
    summary="Describe the image(s)",
    request=DescribeRequest,
    plan_calls=plan_calls,
    sampling=INSTRUCT_SAMPLING,
    max_tokens=lambda request: MAX_TOKENS[request.style],
)
