"""What OpenAI's API answers, as the document tells it; `chat_forms` and `app.problems` write it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from app.schemas import ImageInfo, Timings


class ChatMessage(BaseModel):
    """The answer's text; `reasoning_content` where the request asked for an effort."""

    role: Literal["assistant"]
    content: str
    refusal: None
    reasoning_content: str | None = None


class Choice(BaseModel):
    """The one answer."""

    index: int
    message: ChatMessage
    logprobs: None
    finish_reason: Literal["stop", "length"]


class ReasoningTokens(BaseModel):
    """Part of the completion's tokens."""

    reasoning_tokens: int


class ChatUsage(BaseModel):
    """Tokens as the engine counted them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    completion_tokens_details: ReasoningTokens


class Extras(BaseModel):
    """What OpenAI's object has no place for."""

    images: list[ImageInfo]
    timings: Timings
    cached: bool
    warnings: list[str]


class ChatCompletion(BaseModel):
    """`chat.completion`; `created` in seconds since 1970."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    system_fingerprint: None
    choices: list[Choice]
    usage: ChatUsage
    vlm: Extras


class ModelEntry(BaseModel):
    """A model that may be asked; `created` in seconds since 1970."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    """All of them."""

    object: Literal["list"]
    data: list[ModelEntry]


class Error(BaseModel):
    """`message` says what to do."""

    model_config = ConfigDict(extra="allow")

    message: str
    type: str
    param: str | None
    code: str
    request_id: str


class ErrorBody(BaseModel):
    """An error in OpenAI's shape."""

    error: Error
