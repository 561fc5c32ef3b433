"""Parses `OLLAMA_HOST` as Ollama does (envconfig.Host in its source).

The server reads it to reach the engine, the embedded engine to listen, and the shell scripts by
`python3 -m app.ollama_host VALUE`, which prints the URL. Standard library only: the scripts run it
before anything is installed.
"""

import sys
from dataclasses import dataclass

HOST = "127.0.0.1"
PORT = 11434
SCHEME_PORTS = {"http": 80, "https": 443}
WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - compared, never bound


@dataclass(frozen=True, slots=True)
class OllamaHost:
    """The parts of the setting; `host` of an IPv6 address has no brackets."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @property
    def url(self) -> str:
        """The URL for a client. A wildcard address, on which a daemon listens, is loopback."""
        host = HOST if self.host in WILDCARDS else self.host
        return f"{self.scheme}://{f'[{host}]' if ':' in host else host}:{self.port}{self.path}"


def parse(setting: str) -> OllamaHost:
    """`host:port`, `http://host:port/path`, `host`, `:port` or nothing; IPv6 with or without
    brackets.

    Without a scheme the default port is 11434; with http or https it is that of the scheme. An
    invalid port means the default port, as in Ollama. Raises nothing.
    """
    scheme, found, rest = setting.strip().strip("\"'").partition("://")
    if not found:
        scheme, rest = "http", scheme
    default = SCHEME_PORTS.get(scheme, PORT) if found else PORT
    authority, slash, path = rest.partition("/")
    host, port = _split(authority.rpartition("@")[2])
    number = int(port) if port.isdecimal() and int(port) <= 65535 else default
    return OllamaHost(scheme, host or HOST, number, f"{slash}{path}".rstrip("/"))


def _split(authority: str) -> tuple[str, str]:
    """Host and port, each empty if it is missing."""
    if authority.startswith("["):
        host, _, rest = authority[1:].partition("]")
        return host, rest.removeprefix(":")
    if authority.count(":") > 1:  # an IPv6 address without brackets
        return authority, ""
    host, _, port = authority.partition(":")
    return host, port


if __name__ == "__main__":  # for run_server.sh
    sys.stdout.write(f"{parse(sys.argv[1]).url}\n")
