"""Which server is asked, and with which key."""

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
        help="Where it is; default: this machine, at HOST and PORT.",
        rich_help_panel=HELP_PANEL,
        show_default=False,
    ),
]
ApiKey = Annotated[
    str,
    typer.Option(
        help="Where it wants one; default: the first of API_KEYS (or API_KEY).",
        rich_help_panel=HELP_PANEL,
        show_default=False,
    ),
]


def load_settings() -> Settings:
    """Those of this machine's server. A wrong one ends the command with a sentence."""
    try:
        return load(Settings)
    except SettingsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def local_url(settings: Settings) -> str:
    """Where this machine's own server is reached."""
    host = settings.host
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - read, never bound
        host = "127.0.0.1"
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def server_and_key(server: str, api_key: str) -> tuple[str, str]:
    """The URL and the key that hold; what was not said is taken from the settings."""
    settings = load_settings()
    url = normalize_url(server) if server else local_url(settings)
    return url, api_key or os.environ.get("API_KEY", "") or settings.api_keys.split(",")[0].strip()
