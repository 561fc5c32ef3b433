"""Which engine `./run_server.sh` takes here, as far as it was chosen: its `choose_engine`."""

from pathlib import Path

from pydantic_settings import BaseSettings

from app.settings import Settings

EMBEDDED = "embedded"  # the engine, and its one model
CHOICE_FILE = Path(".cache/engine")  # quick_start.sh's choice


class _EngineSetting(BaseSettings):
    """The setting that is not the server's."""

    model_config = Settings.model_config

    engine: str = ""


def embedded_reason(settings: Settings, version: str) -> str:
    """Why it takes the embedded engine; empty where it takes Ollama, or nobody chose yet.

    version: of what answers at OLLAMA_HOST; empty where nothing does.
    """
    if engine := _EngineSetting().engine:
        return "as ENGINE says" if engine == EMBEDDED else ""
    configured = settings.model_fields_set
    if "ollama_host" not in configured and CHOICE_FILE.is_file():
        remembered = CHOICE_FILE.read_text().strip()
        if remembered == EMBEDDED and embedded_model(settings) == EMBEDDED:
            return "as ./quick_start.sh chose"
        if remembered == "ollama":
            return ""
    return "as it runs already" if EMBEDDED in version else ""


def embedded_model(settings: Settings) -> str:
    """The model that the embedded engine is then asked for."""
    return settings.model_name if "model_name" in settings.model_fields_set else EMBEDDED
