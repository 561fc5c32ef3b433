"""The options --server and --api-key, and the settings behind their defaults."""

import os
from typing import Annotated

import typer

from app.client.client import normalize_url
from app.settings import Settings, SettingsError, load

HELP_PANEL = "Server"
Server = Annotated[
    str,
    typer.Option(
        envvar="SERVER_URL",
        help="URL of the server; default: this machine, at HOST and PORT.",
        rich_help_panel=HELP_PANEL,
        show_default=False,
    ),
]
ApiKey = Annotated[
    str,
    typer.Option(
        help="API key; default: API_KEY, or the first of API_KEYS.",
        rich_help_panel=HELP_PANEL,
        show_default=False,
    ),
]


def load_settings() -> Settings:
    """The settings of this machine's server. Exits with 1 and a message if one is invalid."""
    try:
        return load(Settings)
    except SettingsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def local_url(settings: Settings) -> str:
    """URL of this machine's own server."""
    host = settings.host
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - read, never bound
        host = "127.0.0.1"
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def server_and_key(server: str, api_key: str) -> tuple[str, str]:
    """URL and API key of the server: from the options, else from the settings."""
    settings = load_settings()
    url = normalize_url(server) if server else local_url(settings)
    return url, api_key or os.environ.get("API_KEY", "") or settings.api_keys.split(",")[0].strip()
