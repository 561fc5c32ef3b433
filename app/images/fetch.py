"""Downloads an image URL with SSRF protection.

Off unless `ALLOW_URL_FETCH` is set. The host name is resolved once, all of its addresses must be
public, and the connection is pinned to a checked address, which defeats DNS rebinding. Each
redirect is checked in the same way.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable

import httpx

from app.errors import BodyTooLarge, ForbiddenUrl, Problem, UnreadableImage

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]

MAX_REDIRECTS = 3
TIMEOUT_S = 10.0
# IPv6 prefixes that embed an IPv4 address in the last 32 bits: NAT64 (RFC 6052), IPv4-compatible
# (RFC 4291, deprecated but still understood), IPv4-translated (RFC 2765).
IPV4_EMBEDDING_NETWORKS = tuple(
    ipaddress.IPv6Network(one) for one in ("64:ff9b::/96", "::/96", "::ffff:0:0:0/96")
)
REDIRECT_STATUSES = (301, 302, 303, 307, 308)


def is_public(address: IPAddress) -> bool:
    """Return whether an address is publicly routable; embedded IPv4 addresses are checked too."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None:
            return False
        if address.is_site_local:  # fec0::/10, deprecated by RFC 3879 but still routed internally
            return False
        if any(address in network for network in IPV4_EMBEDDING_NETWORKS):
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    return address.is_global and not address.is_multicast


async def resolve_host(host: str, port: int) -> list[str]:
    """Return all IP addresses of a host.

    Raises:
        OSError: the name does not resolve.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Fetcher:
    """Downloads images. Close it with `aclose`.

    Args:
        max_bytes: size limit of a response body.
        resolve, is_allowed, transport: DNS, address check and network; tests replace them.
    """

    def __init__(
        self,
        max_bytes: int,
        *,
        resolve: Resolve = resolve_host,
        is_allowed: Callable[[IPAddress], bool] = is_public,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._max_bytes = max_bytes
        self._resolve = resolve
        self._is_allowed = is_allowed
        self._http = httpx.AsyncClient(transport=transport, trust_env=False, timeout=TIMEOUT_S)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def fetch(self, url: str, index: int) -> bytes:
        """Return the response body of a URL; `index` is the image's position, for messages.

        Raises:
            ForbiddenUrl: the URL, or one that it redirects to, is not http or https, or its host
                has an address that is not public.
            UnreadableImage: the download fails.
            BodyTooLarge: the body is larger than `max_bytes`.
        """
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._follow(url, f"image[{index}]")
        except TimeoutError:
            problem = f"image[{index}] could not be fetched within {TIMEOUT_S:g} s."
            raise UnreadableImage(problem) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            kind = type(error).__name__
            raise UnreadableImage(f"image[{index}] could not be fetched ({kind}).") from None

    async def _follow(self, url: str, name: str) -> bytes:
        target = httpx.URL(url)
        for _ in range(MAX_REDIRECTS + 1):
            request = await self._pinned_request(target, name)
            response = await self._http.send(request, stream=True)
            try:
                if response.status_code in REDIRECT_STATUSES and "location" in response.headers:
                    target = target.join(response.headers["location"])
                    continue
                if response.status_code != 200:
                    raise UnreadableImage(
                        f"{name} could not be fetched: HTTP {response.status_code}."
                    )
                return await self._read(response, name)
            finally:
                await response.aclose()
        raise UnreadableImage(f"{name} was redirected more than {MAX_REDIRECTS} times.")

    async def _pinned_request(self, url: httpx.URL, name: str) -> httpx.Request:
        """Build a request to a checked IP address, with the original host name in Host and SNI."""
        if url.scheme not in ("http", "https") or not url.host:
            raise ForbiddenUrl(f"{name}: only http and https URLs are supported.")
        port = url.port or (443 if url.scheme == "https" else 80)
        addresses = await self._resolve(url.host, port)
        if not addresses or not all(self._is_allowed(_parsed(one)) for one in addresses):
            raise self._private_address_problem(name)
        host = url.netloc.decode("ascii").rpartition("@")[2]
        return self._http.build_request(
            "GET",
            url.copy_with(host=addresses[0], username=None, password=None),
            headers={"Host": host, "Accept": "image/*, application/pdf"},
            extensions={"sni_hostname": url.host},
        )

    @staticmethod
    def _private_address_problem(name: str) -> Problem:
        return ForbiddenUrl(
            f"{name}: the URL leads to a private address; only public addresses are allowed. "
            "Send the image itself."
        )

    async def _read(self, response: httpx.Response, name: str) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > self._max_bytes:
                raise BodyTooLarge(f"{name} is larger than {self._max_bytes / 1e6:g} MB.")
        return bytes(body)


def _parsed(address: str) -> IPAddress:
    return ipaddress.ip_address(address.partition("%")[0])
