"""A server that is about to end takes nothing new."""

from app.engine.gate import Gate
from app.errors import Draining


def refuse_if_draining(gate: Gate) -> None:
    """Raises Draining once the server was asked to end."""
    if gate.draining:
        raise Draining("This server is about to end and takes nothing new. Ask another one.")
