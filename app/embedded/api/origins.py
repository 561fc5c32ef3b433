"""Protection against cross-site requests and DNS rebinding.

A browser sends `Origin` with every cross-site POST, and the host name of the URL as `Host`. Pages
served from loopback and the origins of OLLAMA_ORIGINS are allowed. As in Ollama, `Host` is checked
only if the engine listens on loopback.
"""

import re
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

LOCAL_SUFFIXES = (".localhost", ".local", ".internal")  # as Ollama's allowedHost


class OriginPolicy:
    """Checks the `Host` and `Origin` headers of a request."""

    def __init__(self, listen_ip: str, allowed: str = "") -> None:
        """
        Args:
            listen_ip: the IP address that the engine listens on.
            allowed: OLLAMA_ORIGINS, comma-separated; `*` matches any characters.
        """
        self._checks_host = ip_address(listen_ip.partition("%")[0]).is_loopback
        self._allowed = [
            re.compile(".*".join(map(re.escape, pattern.strip().split("*"))), re.IGNORECASE)
            for pattern in allowed.split(",")
            if pattern.strip()
        ]
        self._machine_name = socket.gethostname().lower()

    def rejection(self, hosts: Sequence[str], origins: Sequence[str]) -> str:
        """The reason to reject a request with these headers, or an empty string."""
        for origin in origins:
            if not self._allows_origin(origin):
                return f"origin {origin!r} is not allowed; see OLLAMA_ORIGINS"
        for host in hosts:
            if self._checks_host and not self._allows_host(host):
                return f"host {host!r} is not allowed; see OLLAMA_ORIGINS"
        return ""

    def _allows_origin(self, origin: str) -> bool:
        return _is_loopback_url(origin) or self._is_configured(origin)

    def _allows_host(self, host: str) -> bool:
        name = _host_name(f"//{host}")
        return name is not None and (
            name in ("", "localhost", self._machine_name)
            or name.endswith(LOCAL_SUFFIXES)
            or _is_ip_address(name)  # not resolved by DNS
            or self._is_configured(f"http://{host}")
            or self._is_configured(f"https://{host}")
        )

    def _is_configured(self, origin: str) -> bool:
        return any(pattern.fullmatch(origin) for pattern in self._allowed)


def _is_loopback_url(origin: str) -> bool:
    name = _host_name(origin) if origin.startswith(("http://", "https://")) else None
    if not name:
        return False
    if _is_ip_address(name):
        return ip_address(name).is_loopback
    return name == "localhost" or name.endswith(".localhost")


def _host_name(url: str) -> str | None:
    """The host name in lower case. None if the URL is invalid or has a path."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError if it is invalid
    except ValueError:
        return None
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        return None
    return parts.hostname or ""


def _is_ip_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
