"""Run the server: `python server.py`. What can be set: `app/settings.py`."""

import sys
from functools import partial

import uvicorn

from app import heap
from app.connection import Reading
from app.drain import DrainingServer
from app.logs import log
from app.main import create_app
from app.settings import Settings, SettingsError, load, require_safe_bind


def main() -> None:
    """Serve until SIGINT or SIGTERM; ends with 0 then, else with a sentence."""
    heap.settle()
    try:
        settings = load(Settings)
        require_safe_bind(settings)
    except SettingsError as error:
        sys.exit(str(error))
    config = uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=partial(Reading, settings.stall_timeout_s),  # type: ignore[arg-type]
        ws="none",
        proxy_headers=bool(settings.forwarded_allow_ips),
        forwarded_allow_ips=settings.forwarded_allow_ips,
        access_log=False,
        log_config=None,  # its lines come in the form of ours
        log_level="warning",
    )
    log.info(
        "serving",
        url=f"http://{settings.host}:{settings.port}",
        model=settings.model_name,
        engine=settings.ollama_host,
    )
    DrainingServer(
        config, settings.drain_timeout_s
    ).run()  # says itself what it cannot do, and ends with 3 then


if __name__ == "__main__":
    main()
