"""Run the server: `python server.py`. The settings are in `app/settings.py`."""

import sys
from functools import partial

import uvicorn

from app.main import create_app
from app.observability.logs import log
from app.server import memory
from app.server.protocol import BufferedHttpProtocol
from app.server.shutdown import DrainingServer
from app.settings import Settings, SettingsError, load, require_safe_bind


def main() -> None:
    """Serve until SIGINT or SIGTERM, then exit with 0; exit with 1 if a setting is invalid."""
    memory.configure_allocator()
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
        http=partial(BufferedHttpProtocol, settings.stall_timeout_s),  # type: ignore[arg-type]
        ws="none",
        proxy_headers=bool(settings.forwarded_allow_ips),
        forwarded_allow_ips=settings.forwarded_allow_ips,
        access_log=False,
        log_config=None,  # uvicorn's messages go through our own logging
        log_level="warning",
    )
    log.info(
        "serving",
        url=f"http://{settings.host}:{settings.port}",
        model=settings.model_name,
        engine=settings.ollama_host,
    )
    # uvicorn logs a bind error itself and exits with status 3.
    DrainingServer(config, settings.drain_timeout_s).run()


if __name__ == "__main__":
    main()
