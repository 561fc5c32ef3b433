"""Room for the bodies of requests: those that come, and those that were not let go yet.

Bytes are counted as they come. A reservation by `Content-Length` would let 13 connections that send
nothing hold all the room. A body that says beforehand that it will not fit is refused at once.

A client may hold as much as is free besides (dynamic thresholds: Choudhury and Hahne, 1998): alone
half of the room, one of two a third, and whoever comes next finds some.
"""

from app.errors import ServerBusy

AGAIN_S = 5.0  # for a refused client: by then most uploads are over


class Uploads:
    """All bodies of all clients.

    Args:
        most_bytes: that they may hold together.
    """

    def __init__(self, most_bytes: int) -> None:
        self.held = 0
        self._most = most_bytes
        self._clients: dict[str, int] = {}  # bytes of those that hold any

    def open(self, client: str) -> "Upload":
        """The body of one request."""
        return Upload(self, client)

    def check(self, client: str, size: int) -> None:
        """Raises ServerBusy where a client cannot have so many bytes more now."""
        if self._clients.get(client, 0) + size > self._most - self.held - size:
            raise ServerBusy(
                "The bodies of requests in hand take all the memory that this client may have. "
                f"Send fewer at once, or again in {AGAIN_S:g} s.",
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
    """The bytes of one request. `release` it when the request is over."""

    __slots__ = ("_client", "_size", "_uploads")

    def __init__(self, uploads: Uploads, client: str) -> None:
        self._uploads = uploads
        self._client = client
        self._size = 0

    def check(self, size: int) -> None:
        """Raises ServerBusy where so many bytes more would not fit now."""
        self._uploads.check(self._client, size)

    def take(self, size: int) -> None:
        """Hold so many bytes more.

        Raises:
            ServerBusy: they do not fit; nothing more is held then.
        """
        self._uploads.check(self._client, size)
        self._uploads.add(self._client, size)
        self._size += size

    def let_go(self, size: int) -> None:
        """Some of them are not in memory any more."""
        size = min(size, self._size)
        if not size:
            return
        self._uploads.add(self._client, -size)
        self._size -= size

    def release(self) -> None:
        self.let_go(self._size)
