"""Run the server: `python server.py`. What can be set: `app/settings.py`."""

import sys
from functools import partial

import uvicorn
from pydantic import ValidationError

from app import heap
from app.auth import is_loopback
from app.connection import Reading
from app.drain import DrainingServer
from app.logs import log
from app.main import create_app
from app.settings import Settings


def main() -> None:
    """Serve until SIGINT or SIGTERM; ends with 0 then, else with a sentence."""
    heap.settle()
    try:
        settings = Settings()
    except ValidationError as error:
        first = error.errors()[0]
        sys.exit(f"The setting {str(first['loc'][0]).upper()} is wrong: {first['msg']}.")
    if not (is_loopback(settings.host) or settings.keys or settings.allow_anonymous):
        sys.exit(
            f"Listening on {settings.host} would let anybody in: set API_KEY to a secret that "
            "clients send, or HOST=127.0.0.1, or ALLOW_ANONYMOUS=true if that is meant."
        )
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
