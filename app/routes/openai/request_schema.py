"""Parses the body of OpenAI's chat completions into a ChatRequest.

Fields without effect (`user`, `metadata`, `store`, ...) are ignored, as OpenAI's servers do.
Unsupported fields that would change the answer are refused.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from app.errors import InvalidParameter
from app.schemas import AnyDetail, Detail, MaxTokens, as_list, coerce_integral
from app.tasks.chat import ChatRequest, ChatTurn

# Reasoning tokens for each `reasoning_effort`.
REASONING_TOKENS_BY_EFFORT = {
    "none": 0,
    "minimal": 0,
    "low": 512,
    "medium": 1024,
    "high": 4096,
    "xhigh": 8192,
}
DETAIL_ORDER = (Detail.LOW, Detail.AUTO, Detail.HIGH)


def _drop_nulls(value: Any) -> Any:
    return [one for one in value if one is not None] if isinstance(value, list) else value


def _as_list(value: Any) -> Any:
    return _drop_nulls(as_list(value))


class _Lenient(BaseModel):
    """Unknown fields are ignored, and null means absent: typed clients send every field."""

    model_config = ConfigDict(extra="ignore", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: one for name, one in value.items() if one is not None}


ImageSource = Annotated[str, Field(min_length=1)]


class ImageUrl(_Lenient):
    """An image: a data URI, or a URL if the server is allowed to fetch it."""

    url: ImageSource
    detail: AnyDetail = Detail.AUTO


class File(_Lenient):
    """A document as a data URI."""

    file_data: ImageSource


def _as_image_url(value: Any) -> Any:
    """Accept a bare URL, which some clients send."""
    return {"url": value} if isinstance(value, str) else value


class TextPart(_Lenient):
    """Text of a message."""

    type: Literal["text"]
    text: str = ""


class ImagePart(_Lenient):
    """An image of a message."""

    type: Literal["image_url"]
    image_url: Annotated[
        ImageUrl, BeforeValidator(_as_image_url, json_schema_input_type=ImageSource | ImageUrl)
    ]


class FilePart(_Lenient):
    """A document of a message."""

    type: Literal["file"]
    file: File


def _as_text_part(value: Any) -> Any:
    """Accept a bare string as text."""
    return {"type": "text", "text": value} if isinstance(value, str) else value


Part = Annotated[
    Annotated[TextPart | ImagePart | FilePart, Field(discriminator="type")],
    BeforeValidator(_as_text_part, json_schema_input_type=str | TextPart | ImagePart | FilePart),
]


class Message(_Lenient):
    """A turn of the conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[
        str | list[Part] | None,
        BeforeValidator(_drop_nulls, json_schema_input_type=str | list[Part | None] | None),
    ] = None


class JsonSchema(_Lenient):
    """A schema by name; `strict` or not, the answer is held to it."""

    schema_: dict[str, Any] = Field(alias="schema")


class FreeFormat(_Lenient):
    """Text, or any JSON object."""

    type: Literal["text", "json_object"]


class SchemaFormat(_Lenient):
    """JSON that fits a schema."""

    type: Literal["json_schema"]
    json_schema: JsonSchema


ResponseFormat = Annotated[FreeFormat | SchemaFormat, Field(discriminator="type")]


class StreamOptions(_Lenient):
    """`include_usage`: a last chunk with the counts."""

    include_usage: bool = False


Stops = Annotated[list[str], Field(max_length=16)]
StopsOrNull = Annotated[list[str | None], Field(max_length=16)]


class ChatBody(_Lenient):
    """OpenAI's chat completions: text and images in, an answer out."""

    messages: list[Message] = Field(min_length=1, max_length=1000)
    model: str | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: MaxTokens = None
    max_completion_tokens: MaxTokens = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    seed: Annotated[int, BeforeValidator(coerce_integral)] | None = None
    stop: Annotated[
        Stops | None,
        BeforeValidator(as_list, json_schema_input_type=str | StopsOrNull | None),
        BeforeValidator(_drop_nulls),
    ] = None
    response_format: ResponseFormat | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    # Refused with a reason.
    n: (
        Annotated[
            int, Field(ge=1, json_schema_extra={"maximum": 1}), BeforeValidator(coerce_integral)
        ]
        | None
    ) = None
    tools: list[Any] | None = Field(None, json_schema_extra={"maxItems": 0})
    logprobs: bool | None = Field(None, json_schema_extra={"enum": [False, None]})

    def to_chat_request(self) -> tuple[ChatRequest, list[str]]:
        """The request, and its images as strings (see `images.sources`).

        Raises:
            InvalidParameter: it asks for an unsupported feature.
        """
        self._reject_unsupported()
        images: list[str] = []
        turns = [_chat_turn(message, images) for message in self.messages]
        response_format = self.response_format
        schema = (
            response_format.json_schema.schema_
            if isinstance(response_format, SchemaFormat)
            else None
        )
        budget = REASONING_TOKENS_BY_EFFORT[self.reasoning_effort or "none"]
        request = ChatRequest(
            turns=turns,
            detail=max(self._image_details(), key=DETAIL_ORDER.index, default=Detail.AUTO),
            model=self.model or None,
            max_tokens=self.max_completion_tokens or self.max_tokens,
            temperature=self.temperature,
            seed=None if self.seed is None else self.seed % 2**31,
            think=budget > 0,
            max_reasoning_tokens=budget or 1,
            top_p=self.top_p,
            stop=self.stop,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            json_only=response_format is not None and response_format.type != "text",
            schema_=schema,
        )
        return request, images

    def _reject_unsupported(self) -> None:
        unsupported = {
            "n": (self.n or 1) > 1 and "`n` must be 1: send the request again for another answer.",
            "tools": bool(self.tools) and "Tools are not supported; leave `tools` out.",
            "logprobs": bool(self.logprobs) and "Log-probabilities are not supported.",
        }
        for name, reason in unsupported.items():
            if reason:
                raise InvalidParameter(reason, parameter=name)

    def _image_details(self) -> Iterable[Detail]:
        for message in self.messages:
            for part in message.content if isinstance(message.content, list) else ():
                if isinstance(part, ImagePart):
                    yield part.image_url.detail


def _chat_turn(message: Message, images: list[str]) -> ChatTurn:
    """Convert a message, and append its images to `images`. They come before its text, where the
    daemon puts them in any case."""
    role = "system" if message.role == "developer" else message.role
    if not isinstance(message.content, list):
        return ChatTurn(role=role, text=message.content or "")
    texts, files = [], []
    for part in message.content:
        if isinstance(part, TextPart):
            texts.append(part.text)
            continue
        files.append(len(images))
        images.append(part.image_url.url if isinstance(part, ImagePart) else part.file.file_data)
    return ChatTurn(role=role, text="\n".join(texts), files=tuple(files))
