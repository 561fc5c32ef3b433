"""Where to listen: the host and port of `OLLAMA_HOST`."""

from dataclasses import dataclass

from app.ollama_host import parse


@dataclass(frozen=True, slots=True)
class Address:
    """A host and port to listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_ollama_host(setting: str) -> Address:
    """The address to bind; a wildcard is kept. Raises nothing."""
    found = parse(setting)
    return Address(found.host, found.port)
