"""Public request and answer models. Their names are part of the API contract."""

import types
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Detail(StrEnum):
    """The share of the image-token budget that the images of a request get."""

    LOW = "low"
    AUTO = "auto"
    HIGH = "high"


class Style(StrEnum):
    """Style of a description."""

    CAPTION = "caption"
    PARAGRAPH = "paragraph"
    DETAILED = "detailed"
    ALT_TEXT = "alt_text"


class TextFormat(StrEnum):
    """Output format of OCR."""

    TEXT = "text"
    MARKDOWN = "markdown"
    HTML = "html"
    JSON = "json"


def as_list(value: Any) -> Any:
    """A single text as a list of one; any other value unchanged."""
    return [value] if isinstance(value, str) else value


_PAGE = r"\s*[0-9]{1,6}\s*(-\s*([0-9]{1,6}\s*)?)?"
PAGES_PATTERN = rf"^\s*({_PAGE}(,{_PAGE})*)?$"

LANGUAGE_TAG_PATTERN = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$"  # of a language, BCP 47

NonEmpty = Annotated[str, Field(min_length=1, max_length=32_768)]
NonEmptyList = Annotated[list[NonEmpty], Field(min_length=1, max_length=64)]
Label = Annotated[str, Field(min_length=1, max_length=200)]
Labels = Annotated[list[Label], Field(min_length=1, max_length=64)]
OneOrMore = Annotated[
    NonEmptyList, BeforeValidator(as_list, json_schema_input_type=NonEmpty | NonEmptyList)
]
EnumByValue = Field(strict=False)  # JSON has no enums: accept their values


def _parse_detail(value: Any) -> Any:
    """Match case-insensitively; `auto` for values of other servers, such as "original"."""
    if not isinstance(value, str):
        return value
    names = [one for one in Detail if one == value.strip().lower()]
    return names[0] if names else Detail.AUTO


AnyDetail = Annotated[Detail, BeforeValidator(_parse_detail, json_schema_input_type=str)]


def coerce_integral(value: Any) -> Any:
    """A float without a fraction as an int; any other value unchanged."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _unlimited_to_none(value: Any) -> Any:
    """None for -1 and 0, which clients send for "no limit"."""
    value = coerce_integral(value)
    if isinstance(value, str) and value.strip() in ("-1", "0"):  # of a form
        return None
    return None if isinstance(value, int) and value is not False and value in (-1, 0) else value


# JSON Schema: 5.0 is an integer.
Tokens = Annotated[int, Field(ge=1, le=1_000_000), BeforeValidator(coerce_integral)]
# The longest answer; one that exceeds the context is lowered with a warning (`app.pipeline.plan`).
MaxTokens = Annotated[
    Annotated[int, Field(ge=1)] | None,
    BeforeValidator(_unlimited_to_none, json_schema_input_type=Annotated[int, Field(ge=-1)] | None),
]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1), BeforeValidator(coerce_integral)]


class TaskRequest(BaseModel):
    """The fields that all tasks share, beside the images.

    Strict: neither `true` nor `"5"` is a number. A form, whose values are all text, is validated
    with `strict=False`.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    prompt: str | None = Field(
        None, max_length=32_768, description="Extra instruction, added to the task's own"
    )
    language: str | None = Field(
        None,
        pattern=LANGUAGE_TAG_PATTERN,
        description="Language of the answer, BCP 47 (`ko`, `en`); default: that of the prompt "
        "or question, else `DEFAULT_LANGUAGE`",
    )
    pages: str | None = Field(
        None,
        max_length=1000,
        json_schema_extra={"pattern": PAGES_PATTERN},  # for the document; `images.pages` checks it
        description="Pages of a PDF or multi-page TIFF, such as `1-3,7`; default: all",
    )
    detail: AnyDetail = Field(
        Detail.AUTO,
        description="Share of the image-token budget: `low`, `auto`, `high`; any other is `auto`",
    )
    max_tokens: MaxTokens = Field(
        None, description="Longest answer in tokens; -1 and 0 mean the default"
    )
    temperature: float | None = Field(None, ge=0, le=2)
    seed: Seed | None = None
    think: bool = Field(
        False, description="Reason first; false answers at once, also with a thinking model"
    )
    max_reasoning_tokens: Tokens = Field(
        1024, description="With `think`: the longest reasoning in tokens"
    )
    model: NonEmpty | None = Field(None, description="Another installed model")
    stream: bool = Field(False, description="Stream the answer as events")

    @property
    def reasoning_budget_is_soft(self) -> bool:
        """Whether `max_reasoning_tokens` may be lowered, since the client did not choose it."""
        return False

    def sampling(self) -> dict[str, Any]:
        """Sampling options of the request, under Ollama's names."""
        given = {"temperature": self.temperature, "seed": self.seed}
        return {name: one for name, one in given.items() if one is not None}


class DescribeRequest(TaskRequest):
    """Describes the image(s)."""

    style: Annotated[Style, EnumByValue] = Style.PARAGRAPH


class OcrRequest(TaskRequest):
    """Reads all text, in reading order; a document of several pages becomes one text.

    As `html` it is one well-formed fragment of h1 to h6, p, lists, tables and pre, with inline
    markup: no script, style, link or image, and no attributes but the spans of cells. Formulas are
    LaTeX in `$`.
    """

    language: str | None = Field(
        None,
        pattern=LANGUAGE_TAG_PATTERN,
        description="Language of the text, BCP 47 (`ko`, `en`), as a hint; nothing is translated",
    )
    format: Annotated[TextFormat, EnumByValue] = TextFormat.TEXT


class VqaRequest(TaskRequest):
    """Answers questions about the image(s)."""

    question: OneOrMore = Field(description="One or more questions")


class ExtractRequest(TaskRequest):
    """Fills a JSON Schema from the image(s)."""

    schema_: dict[str, Any] = Field(
        alias="schema", description="A JSON Schema object; the answer's `data` fits it"
    )


class DetectRequest(TaskRequest):
    """Finds objects, in pixels of the original image."""

    labels: Annotated[Labels, BeforeValidator(as_list, json_schema_input_type=Label | Labels)] = (
        Field(description="What to find: one or more labels")
    )


class ImageInfo(BaseModel):
    """One image: its own size, and the size and tokens that the model gets."""

    index: int
    page: int | None = None
    width: int
    height: int
    sent_width: int
    sent_height: int
    tokens: int


class QuestionAnswer(BaseModel):
    """One question of `/v1/vqa` and its answer."""

    question: str
    text: str


class DetectedObject(BaseModel):
    """One object and its box: left, top, right, bottom in pixels of the upright original (points on
    a PDF page)."""

    label: str
    box: tuple[float, float, float, float]
    image: int
    page: int | None


class Usage(BaseModel):
    """Tokens as the engine counted them, summed over the engine requests of one answer."""

    prompt_tokens: int
    completion_tokens: int = Field(description="All generated tokens, reasoning included")
    reasoning_tokens: int
    estimated_prompt_tokens: int = Field(description="The estimate before the request was sent")


class Timings(BaseModel):
    """Time by stage, in milliseconds."""

    queue_ms: float
    prepare_ms: float
    load_ms: float
    prompt_ms: float
    generate_ms: float
    total_ms: float
    tokens_per_second: float


class Answer(BaseModel):
    """The whole answer; `answers`, `data` and `objects` are set by their task only."""

    id: str
    task: str
    model: str
    text: str
    finish_reason: Literal["stop", "length"]
    answers: list[QuestionAnswer] | None = None
    data: Any = Field(
        None,
        description="OCR of a document of several pages: `pages`, each with its `image`, `page` "
        "and `text` as read; the answer's `text` is the document, with tables joined across pages "
        "and without repeated headers, footers and page numbers. OCR as json: `lines`, each with "
        "its `text`, `box` in pixels of the original (left, top, right, bottom; points on a PDF "
        "page), `image` and `page`, and `confidence` (0 to 1) if the engine reports it. Extract: "
        "an object that fits the schema",
    )
    objects: list[DetectedObject] | None = None
    images: list[ImageInfo]
    usage: Usage
    timings: Timings
    cached: bool = False
    warnings: list[str] = []


class ProblemBody(BaseModel):
    """An error, `application/problem+json` (RFC 9457); `detail` says what to do."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    partial: str | None = None


@cache
def container_fields(model: type[BaseModel]) -> Mapping[str, type]:
    """The list and dict fields of a model by name: in a form a list field may be repeated, and a
    dict field is JSON text."""
    found = {}
    for name, info in model.model_fields.items():
        kinds = [info.annotation]
        if get_origin(info.annotation) in (Union, types.UnionType):
            kinds = list(get_args(info.annotation))
        for kind in map(get_origin, kinds):
            if kind in (list, dict):
                found[info.alias or name] = kind
                break
    return found
