"""Parses `OLLAMA_HOST` as `ollama serve` does (envconfig.Host)."""

from dataclasses import dataclass

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 11434
SCHEME_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_ollama_host(setting: str) -> Address:
    """Accepts `host:port`, `http://host:port`, `host`, `:port` and "". IPv6 can be in brackets.

    As in Ollama, a scheme without a port means the scheme's default port, and an invalid port
    means 11434.
    """
    scheme, found, rest = setting.strip(" \"'").partition("://")
    port = SCHEME_PORTS.get(scheme.lower(), DEFAULT_PORT) if found else DEFAULT_PORT
    rest = (rest if found else scheme).split("/", 1)[0]
    if rest.startswith("["):
        host, _, tail = rest[1:].partition("]")
        number = tail.removeprefix(":")
    elif rest.count(":") > 1:
        host, number = rest, ""
    else:
        host, _, number = rest.partition(":")
    if number:
        port = int(number) if number.isdecimal() and int(number) <= 65535 else DEFAULT_PORT
    return Address(host or DEFAULT_HOST, port)
