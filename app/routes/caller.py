"""Who asks, and whether anything is taken of them now."""

from fastapi import Request

from app.engine.gate import Gate
from app.errors import Draining
from app.tasks.run import Caller, Line


def admit(request: Request) -> Caller:
    """Whoever sent the request, where it may go on.

    Raises:
        Draining: the server is about to end.
        RateLimited: it is one too many.
    """
    line: Line = request.app.state.line
    refuse_if_draining(line.gate)
    caller = Caller(
        request_id=request.state.request_id,
        key=getattr(request.state, "client", ""),
        address=request.client.host if request.client else "",
        no_store="no-store" in request.headers.get("cache-control", "").lower(),
    )
    request.state.record = caller.record
    request.app.state.rates.check(caller.client)
    return caller


def refuse_if_draining(gate: Gate) -> None:
    """Raises Draining once the server was asked to end."""
    if gate.draining:
        raise Draining("This server is about to end and takes nothing new. Ask another one.")
