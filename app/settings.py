"""All settings of the server: environment variables, or lines of `.env`."""

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


def _validate_rate(value: str) -> str:
    """Raises ValueError for a rate limit that is not valid, or that is zero."""
    if value.strip() and not parse(value).amount:
        raise ValueError(f"{value} allows no request")
    return value


def _validate_proxies(value: str) -> str:
    """Raises ValueError for an entry that is not an IP address or network, which uvicorn would
    silently ignore."""
    listed = [one.strip() for one in value.split(",") if one.strip()]
    if listed != ["*"]:
        for one in listed:
            ipaddress.ip_network(one)
    return ",".join(listed)


class Settings(BaseSettings):
    """The settings of the server."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True)

    model_name: str = Field(DEFAULT_MODEL, description="Default model")
    ollama_host: Annotated[str, BeforeValidator(_ollama_url)] = Field(
        "http://127.0.0.1:11434", description="Address of Ollama, or of another engine with its API"
    )
    host: str = Field("127.0.0.1", description="Address to listen on")
    port: int = Field(8000, ge=0, le=65535)
    api_keys: str = Field(
        "",
        validation_alias=AliasChoices("api_keys", "api_key"),
        description="Comma-separated API keys; a request must send one of them",
    )
    allow_anonymous: bool = Field(False, description="Serve other machines without an API key")
    allow_anonymous_metrics: bool = Field(False, description="Serve /metrics without an API key")
    num_ctx: int = Field(
        0, ge=0, description="Context of the model in tokens; 0: planned from the GPU memory"
    )
    num_parallel: int = Field(
        1,
        ge=1,
        validation_alias=AliasChoices("num_parallel", "ollama_num_parallel"),
        description="Requests that the daemon runs at once; its API does not report this",
    )
    kv_cache_type: Literal["f16", "q8_0"] = Field(
        "f16",
        validation_alias=AliasChoices("kv_cache_type", "ollama_kv_cache_type"),
        description="KV cache type of the daemon, to plan the context; its API does not report it",
    )
    max_queue: int = Field(64, ge=0, description="Requests that may wait for a slot")
    request_timeout_s: float = Field(300, gt=0)
    drain_timeout_s: float = Field(
        120, ge=0, description="Time to finish running requests after SIGTERM or SIGINT, in seconds"
    )
    keep_alive: str = Field(
        "-1", description="How long the daemon keeps the model loaded; -1: forever"
    )
    max_body_mb: float = Field(20, gt=0)
    uploads_max_mb: float = Field(
        256,
        gt=0,
        validate_default=True,
        description="Memory for all request bodies; a client may use half of what is free",
    )
    max_image_megapixels: float = Field(50, gt=0)
    max_images: int = Field(16, ge=1)
    max_pages: int = Field(50, ge=1, description="Pages of a document in one request")
    decode_timeout_s: float = Field(
        10, gt=0, description="CPU time to decode one image or page, in seconds"
    )
    decode_memory_mb: int = Field(
        768, ge=384, description="Memory for large images and documents that are decoded at once"
    )
    cache_mb: float = Field(64, ge=0, description="Size of the answer cache; 0: no cache")
    stall_timeout_s: float = Field(
        60, gt=0, description="Time between two tokens after which a request fails, in seconds"
    )
    allow_url_fetch: bool = Field(False, description="Download images from public URLs")
    allow_cloud_models: bool = Field(
        False, description="Serve models that the daemon runs on other machines"
    )
    allowed_models: str = Field(
        "", description="Comma-separated models; empty: any installed model"
    )
    default_language: str = Field(
        "en", description="Language of descriptions if a request names none, BCP 47"
    )
    rate_limit: Annotated[str, AfterValidator(_validate_rate)] = Field(
        "", description="Rate limit per client, such as 60/minute; empty: none"
    )
    forwarded_allow_ips: Annotated[str, AfterValidator(_validate_proxies)] = Field(
        "",
        description="Comma-separated addresses or networks of trusted proxies, for X-Forwarded-For "
        "and X-Forwarded-Proto; *: all",
    )
    canary: bool = Field(
        True,
        description="Test the model with two known images after the engine or the model changed",
    )
    cors_origins: str = Field(
        "", description="Comma-separated origins that may call the API from a browser"
    )
    log_format: Literal["console", "json"] = "console"

    @field_validator("uploads_max_mb")
    @classmethod
    def _fits_two_bodies(cls, value: float, info: ValidationInfo) -> float:
        """A client may use half of it, which must be enough for one body."""
        minimum = 2 * info.data.get("max_body_mb", 0.0)
        if value < minimum:
            raise ValueError(f"it must be at least {minimum:g}, twice MAX_BODY_MB")
        return value

    @cached_property
    def keys(self) -> frozenset[str]:
        """The API keys; empty if none is required."""
        return frozenset(filter(None, map(str.strip, self.api_keys.split(","))))

    @cached_property
    def origins(self) -> list[str]:
        """Origins that CORS allows; empty for none."""
        return list(filter(None, map(str.strip, self.cors_origins.split(","))))

    @cached_property
    def allowed(self) -> frozenset[str]:
        """The models that a request may name; empty for any."""
        return frozenset(filter(None, map(str.strip, self.allowed_models.split(","))))

    @cached_property
    def keep_alive_value(self) -> int | str:
        """The value for Ollama's API: an integer of seconds, or a duration such as `10m`."""
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
