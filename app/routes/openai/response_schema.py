"""Response models of OpenAI's API for the OpenAPI document; `encoders` writes the responses."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from app.schemas import ImageInfo, Timings


class ChatMessage(BaseModel):
    """The text of the answer; `reasoning_content` if the request set a `reasoning_effort`."""

    role: Literal["assistant"]
    content: str
    refusal: None
    reasoning_content: str | None = None


class Choice(BaseModel):
    """The only choice."""

    index: int
    message: ChatMessage
    logprobs: None
    finish_reason: Literal["stop", "length"]


class ReasoningTokens(BaseModel):
    """Part of the completion tokens."""

    reasoning_tokens: int


class ChatUsage(BaseModel):
    """Tokens as the engine counted them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    completion_tokens_details: ReasoningTokens


class Extras(BaseModel):
    """Fields that OpenAI's object does not have."""

    images: list[ImageInfo]
    timings: Timings
    cached: bool
    warnings: list[str]


class ChatCompletion(BaseModel):
    """`chat.completion`; `created` is Unix time in seconds."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    system_fingerprint: None
    choices: list[Choice]
    usage: ChatUsage
    vlm: Extras


class ModelEntry(BaseModel):
    """A model that the server offers; `created` is Unix time in seconds."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    """All models."""

    object: Literal["list"]
    data: list[ModelEntry]


class Error(BaseModel):
    """`message` says what is wrong and what to do."""

    model_config = ConfigDict(extra="allow")

    message: str
    type: str
    param: str | None
    code: str
    request_id: str


class ErrorBody(BaseModel):
    """An error in OpenAI's format."""

    error: Error
