"""Every environment variable, once, with its meaning. A `.env` file counts too."""

import ipaddress
from functools import cached_property
from typing import Annotated, Literal, TypeVar

from limits import parse
from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.models.catalog import DEFAULT_MODEL
from app.ollama_host import parse as parse_ollama_host


class SettingsError(Exception):
    """The settings do not allow a start; the text is one sentence for the user."""


def _ollama_url(value: str) -> str:
    return parse_ollama_host(value).url


def _rule(value: str) -> str:
    """Raises ValueError for a rate that cannot be read, or lets nobody in."""
    if value.strip() and not parse(value).amount:
        raise ValueError(f"{value} lets nobody in")
    return value


def _proxies(value: str) -> str:
    """Raises ValueError for what is neither an address nor a network: uvicorn would take it for a
    name that nobody has."""
    listed = [one.strip() for one in value.split(",") if one.strip()]
    if listed != ["*"]:
        for one in listed:
            ipaddress.ip_network(one)
    return ",".join(listed)


class Settings(BaseSettings):
    """What the server can be told from outside."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True)

    model_name: str = Field(DEFAULT_MODEL, description="The model that answers by default")
    ollama_host: Annotated[str, BeforeValidator(_ollama_url)] = Field(
        "http://127.0.0.1:11434", description="Where something speaks Ollama's API"
    )
    host: str = Field("127.0.0.1", description="Address to listen on")
    port: int = Field(8000, ge=0, le=65535)
    api_keys: str = Field(
        "",
        validation_alias=AliasChoices("api_keys", "api_key"),
        description="Comma-separated; a request must carry one of them",
    )
    allow_anonymous: bool = Field(False, description="Listen publicly without a key")
    allow_anonymous_metrics: bool = Field(
        False, description="Tell /metrics to a scraper that cannot send a key"
    )
    num_ctx: int = Field(0, ge=0, description="Context of the model in tokens; 0: planned")
    num_parallel: int = Field(
        1,
        ge=1,
        validation_alias=AliasChoices("num_parallel", "ollama_num_parallel"),
        description="Slots of the daemon, which does not tell them",
    )
    kv_cache_type: Literal["f16", "q8_0"] = Field(
        "f16",
        validation_alias=AliasChoices("kv_cache_type", "ollama_kv_cache_type"),
        description="Of the daemon, which does not tell it; what the context is planned with",
    )
    max_queue: int = Field(64, ge=0, description="Requests that may wait for a slot")
    request_timeout_s: float = Field(300, gt=0)
    drain_timeout_s: float = Field(
        120, ge=0, description="How long a server that is asked to end finishes what runs"
    )
    keep_alive: str = Field("-1", description="How long the daemon keeps the model loaded")
    max_body_mb: float = Field(20, gt=0)
    uploads_max_mb: float = Field(
        256,
        gt=0,
        validate_default=True,
        description="Bodies that are held together; a client may take half of what is left",
    )
    max_image_megapixels: float = Field(50, gt=0)
    max_images: int = Field(16, ge=1)
    max_pages: int = Field(50, ge=1, description="Pages of a document that are taken at once")
    decode_timeout_s: float = Field(
        10, gt=0, description="CPU time that decoding one picture or page may take"
    )
    decode_memory_mb: int = Field(
        768, ge=384, description="Memory of large pictures and documents that are decoded at once"
    )
    cache_mb: float = Field(64, ge=0, description="Answers that are kept; 0: none")
    stall_timeout_s: float = Field(
        60, gt=0, description="Silence between two tokens after which an answer is given up"
    )
    allow_url_fetch: bool = Field(False, description="Fetch images from public addresses")
    allow_cloud_models: bool = Field(
        False, description="Serve models that the daemon runs on other machines"
    )
    allowed_models: str = Field("", description="Comma-separated; empty: any installed model")
    default_language: str = Field("en", description="BCP 47")
    rate_limit: Annotated[str, AfterValidator(_rule)] = Field(
        "", description="Of each client, such as 60/minute; empty: none"
    )
    forwarded_allow_ips: Annotated[str, AfterValidator(_proxies)] = Field(
        "",
        description="Comma-separated addresses or networks of proxies whose X-Forwarded-For and "
        "X-Forwarded-Proto count; *: anybody's",
    )
    canary: bool = Field(
        True, description="Read two known pictures after the engine or the model changed"
    )
    cors_origins: str = Field("", description="Comma-separated origins of web pages that may ask")
    log_format: Literal["console", "json"] = "console"

    @field_validator("uploads_max_mb")
    @classmethod
    def _room_for_two(cls, value: float, info: ValidationInfo) -> float:
        """A client may hold half of it, which is to be enough for one body."""
        least = 2 * info.data.get("max_body_mb", 0.0)
        if value < least:
            raise ValueError(f"at least {least:g}, twice MAX_BODY_MB, is needed")
        return value

    @cached_property
    def keys(self) -> frozenset[str]:
        """The API keys; empty where none is wanted."""
        return frozenset(filter(None, map(str.strip, self.api_keys.split(","))))

    @cached_property
    def origins(self) -> list[str]:
        """Web origins that may ask; empty for none."""
        return list(filter(None, map(str.strip, self.cors_origins.split(","))))

    @cached_property
    def allowed(self) -> frozenset[str]:
        """The models a request may name; empty for any."""
        return frozenset(filter(None, map(str.strip, self.allowed_models.split(","))))

    @cached_property
    def keep_alive_value(self) -> int | str:
        """As Ollama's API takes it: whole seconds as a number, else a duration such as `10m`."""
        try:
            return int(self.keep_alive)
        except ValueError:
            return self.keep_alive


AnySettings = TypeVar("AnySettings", bound=BaseSettings)


def load(kind: type[AnySettings]) -> AnySettings:
    """Read settings from the environment and `.env`.

    Raises:
        SettingsError: one of them is invalid; the sentence names it.
    """
    try:
        return kind()
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).upper()
        raise SettingsError(f"The setting {name} is invalid: {first['msg']}.") from None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def require_safe_bind(settings: Settings) -> None:
    """Refuse to serve other machines without an API key, unless ALLOW_ANONYMOUS is set.

    Raises:
        SettingsError: HOST is reachable from other machines and there is no key.
    """
    if not (is_loopback(settings.host) or settings.keys or settings.allow_anonymous):
        raise SettingsError(
            f"HOST={settings.host} is reachable from other machines and no API key is set: set "
            "API_KEY to a secret that clients send, or HOST=127.0.0.1, or ALLOW_ANONYMOUS=true to "
            "serve without a key."
        )
