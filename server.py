"""Run the server: `python server.py`. What can be set: `app/settings.py`."""

import uvicorn

from app.main import create_app
from app.settings import Settings


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    settings = Settings()
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
