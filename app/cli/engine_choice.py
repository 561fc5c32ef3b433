"""Predicts which engine `./run_server.sh` starts: its `choose_engine` in Python."""

from pathlib import Path

from pydantic_settings import BaseSettings

from app.settings import Settings

EMBEDDED = "embedded"  # the engine and its only model
CHOICE_FILE = Path(".cache/engine")  # written by quick_start.sh


class _EngineSetting(BaseSettings):
    """ENGINE, which only the scripts read."""

    model_config = Settings.model_config

    engine: str = ""


def embedded_reason(settings: Settings, version: str) -> str:
    """Why the embedded engine is used; empty for Ollama, or if no choice was made.

    version: of the engine at OLLAMA_HOST; empty if none answers.
    """
    if engine := _EngineSetting().engine:
        return "set by ENGINE" if engine == EMBEDDED else ""
    configured = settings.model_fields_set
    if "ollama_host" not in configured and CHOICE_FILE.is_file():
        remembered = CHOICE_FILE.read_text().strip()
        if remembered == EMBEDDED and embedded_model(settings) == EMBEDDED:
            return "chosen by ./quick_start.sh"
        if remembered == "ollama":
            return ""
    return "already running" if EMBEDDED in version else ""


def embedded_model(settings: Settings) -> str:
    """The model to request from the embedded engine."""
    return settings.model_name if "model_name" in settings.model_fields_set else EMBEDDED
