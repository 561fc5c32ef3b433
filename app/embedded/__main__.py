"""`python -m app.embedded`: listens where OLLAMA_HOST says until SIGTERM or SIGINT."""

import logging
import os
import signal
import socket
import sys

from app.embedded import weights
from app.embedded.address import Address, address

BACKLOG = 128


def main() -> None:
    """Exits 0 when asked to end, 1 with one sentence where it cannot start."""
    if missing := weights.missing_packages():
        sys.exit(f"Not installed: {', '.join(missing)}. Run: {weights.REQUIREMENTS}")
    where = address(os.environ.get("OLLAMA_HOST", ""))
    try:
        weights.ppocr()
        listener = _listen(where)
    except weights.WeightsError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"Cannot listen on {where}: {error.strerror or error}. Set OLLAMA_HOST.")
    _serve(listener, where)


def _listen(where: Address) -> socket.socket:
    found = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM)
    family, kind, protocol, _, target = found[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(target)
    listener.listen(BACKLOG)
    return listener


def _serve(listener: socket.socket, where: Address) -> None:
    import uvicorn  # noqa: PLC0415 - only now is it known to be there

    from app.embedded.server import app  # noqa: PLC0415

    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=1, ws="none"
    )
    # uvicorn raises the signal again when it has ended: ending when asked to is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    port = listener.getsockname()[1]
    print(f"Listening on {Address(where.host, port)} (model: embedded)", flush=True)  # noqa: T201
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
