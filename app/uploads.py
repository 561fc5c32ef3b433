"""Memory budget for request bodies, from their first byte until they are released.

Bytes are counted as they arrive: reserving the `Content-Length` would let 13 connections that send
nothing hold the whole budget. A body whose announced length does not fit is refused at once.

A client may hold as many bytes as are free besides (dynamic thresholds: Choudhury and Hahne, 1998):
half of the budget when alone, a third when it is one of two, so that a newcomer always finds some.
"""

from app.errors import ServerBusy

AGAIN_S = 5.0  # Retry-After of a refused body: most uploads are done by then


class Uploads:
    """The bodies of all clients.

    Args:
        most_bytes: the budget that they share.
    """

    def __init__(self, most_bytes: int) -> None:
        self.held = 0
        self._most = most_bytes
        self._clients: dict[str, int] = {}  # bytes of those that hold any

    def open(self, client: str) -> "Upload":
        """Account for the body of one request."""
        return Upload(self, client)

    def check(self, client: str, size: int) -> None:
        """Raises ServerBusy if the client cannot hold `size` more bytes now."""
        if self._clients.get(client, 0) + size > self._most - self.held - size:
            raise ServerBusy(
                "The bodies of running requests take all the memory that this client may use. "
                f"Send fewer at once, or retry in {AGAIN_S:g} s.",
                retry_after_s=AGAIN_S,
            )

    def add(self, client: str, size: int) -> None:
        self.held += size
        held = self._clients.get(client, 0) + size
        if held:
            self._clients[client] = held
        else:
            self._clients.pop(client, None)


class Upload:
    """The bytes of one request. Call `release` when the request ends."""

    __slots__ = ("_client", "_size", "_uploads")

    def __init__(self, uploads: Uploads, client: str) -> None:
        self._uploads = uploads
        self._client = client
        self._size = 0

    def check(self, size: int) -> None:
        """Raises ServerBusy if `size` more bytes do not fit now."""
        self._uploads.check(self._client, size)

    def take(self, size: int) -> None:
        """Count `size` more bytes.

        Raises:
            ServerBusy: they do not fit, and are not counted.
        """
        self._uploads.check(self._client, size)
        self._uploads.add(self._client, size)
        self._size += size

    def let_go(self, size: int) -> None:
        """Release `size` bytes that are no longer in memory."""
        size = min(size, self._size)
        if not size:
            return
        self._uploads.add(self._client, -size)
        self._size -= size

    def release(self) -> None:
        self.let_go(self._size)
