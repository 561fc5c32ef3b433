"""The body of OpenAI's chat completions, as a conversation of ours.

Fields that change nothing here (`user`, `metadata`, `store`, ...) are passed over, as OpenAI's
own servers do with theirs; those whose absence would be noticed are refused.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.errors import InvalidParameter, InvalidRequest
from app.schemas import Detail
from app.tasks.chat import ChatRequest, ChatTurn

# Tokens of reasoning that an effort stands for.
EFFORTS = {"none": 0, "minimal": 0, "low": 512, "medium": 1024, "high": 4096, "xhigh": 8192}
ORDER = (Detail.LOW, Detail.AUTO, Detail.HIGH)


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore")


class ImageUrl(_Lenient):
    """An image: a data URI, or an address where the server fetches them."""

    url: str
    detail: Detail = Detail.AUTO


class File(_Lenient):
    """A document as a data URI."""

    file_data: str


def _image_url(value: Any) -> Any:
    """Some clients send the address alone."""
    return {"url": value} if isinstance(value, str) else value


class ContentPart(_Lenient):
    """A part of a message: text, an image or a document."""

    type: Literal["text", "image_url", "file"]
    text: str = ""
    image_url: Annotated[ImageUrl | None, BeforeValidator(_image_url)] = None
    file: File | None = None


class Message(_Lenient):
    """A turn of the conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[ContentPart] | None = None


class JsonSchema(_Lenient):
    """A schema by name; `strict` or not, the answer is held to it."""

    schema_: dict[str, Any] = Field(alias="schema")


class ResponseFormat(_Lenient):
    """What the answer has to be."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class StreamOptions(_Lenient):
    """`include_usage`: a last chunk with the counts."""

    include_usage: bool = False


class ChatBody(_Lenient):
    """OpenAI's chat completions: text and images in, an answer out."""

    messages: list[Message] = Field(min_length=1, max_length=1000)
    model: str | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1, le=1_000_000)
    max_completion_tokens: int | None = Field(None, ge=1, le=1_000_000)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    seed: int | None = None
    stop: Annotated[list[str] | None, BeforeValidator(_listed)] = Field(None, max_length=16)
    response_format: ResponseFormat | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    n: int | None = None
    tools: list[Any] | None = None
    logprobs: bool | None = None

    def conversation(self) -> tuple[ChatRequest, list[str]]:
        """The request, and its images as strings (see `images.intake`).

        Raises:
            InvalidParameter: it asks for something that is not there.
            InvalidRequest: a part lacks its content.
        """
        self._refuse_what_is_not_there()
        images: list[str] = []
        turns = [_turn(message, images) for message in self.messages]
        form = self.response_format
        schema = form.json_schema.schema_ if form and form.json_schema else None
        if form and form.type == "json_schema" and schema is None:
            raise InvalidRequest("response_format lacks its json_schema.", parameter="json_schema")
        budget = EFFORTS[self.reasoning_effort or "none"]
        request = ChatRequest(
            turns=turns,
            detail=max(self._details(), key=ORDER.index, default=Detail.AUTO),
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
            json_only=form is not None and form.type != "text",
            schema_=schema,
        )
        return request, images

    def _refuse_what_is_not_there(self) -> None:
        missing = {
            "n": (self.n or 1) > 1 and "One answer is given to a request; send it again for more.",
            "tools": bool(self.tools) and "This server calls no tools; leave `tools` out.",
            "logprobs": bool(self.logprobs) and "The engine gives no probabilities.",
        }
        for name, reason in missing.items():
            if reason:
                raise InvalidParameter(reason, parameter=name)

    def _details(self) -> Iterable[Detail]:
        for message in self.messages:
            for part in message.content if isinstance(message.content, list) else ():
                if part.image_url:
                    yield part.image_url.detail


def _turn(message: Message, images: list[str]) -> ChatTurn:
    """A message; its images are added to the list. They come before its text, where the daemon
    puts them in any case."""
    role = "system" if message.role == "developer" else message.role
    if not isinstance(message.content, list):
        return ChatTurn(role=role, text=message.content or "")
    texts, files = [], []
    for part in message.content:
        if part.type == "text":
            texts.append(part.text)
            continue
        image = part.image_url.url if part.image_url else part.file and part.file.file_data
        if not image:
            raise InvalidRequest(
                f"A part of type {part.type} lacks its content.", parameter="messages"
            )
        files.append(len(images))
        images.append(image)
    return ChatTurn(role=role, text="\n".join(texts), files=tuple(files))
