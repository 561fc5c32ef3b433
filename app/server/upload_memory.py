"""Memory budget for request bodies, from their first byte until they are released.

Bytes are counted as they arrive: reserving the `Content-Length` would let 13 connections that send
nothing hold the whole budget. A body whose announced length does not fit is refused at once.

A client may hold as many bytes as are free besides (dynamic thresholds: Choudhury and Hahne, 1998):
half of the budget when alone, a third when it is one of two, so that a newcomer always finds some.
"""

from app.errors import ServerBusy

RETRY_AFTER_S = 5.0  # Retry-After of a refused body: most uploads are done by then


class UploadBudget:
    """The bodies of all clients.

    Args:
        max_bytes: the budget that they share.
    """

    def __init__(self, max_bytes: int) -> None:
        self.held_bytes = 0
        self._max_bytes = max_bytes
        self._held_by_client: dict[str, int] = {}  # bytes of those that hold any

    def reserve(self, client: str) -> "UploadReservation":
        """Account for the body of one request."""
        return UploadReservation(self, client)

    def check(self, client: str, size: int) -> None:
        """Raises ServerBusy if the client cannot hold `size` more bytes now."""
        if self._held_by_client.get(client, 0) + size > self._max_bytes - self.held_bytes - size:
            raise ServerBusy(
                "The bodies of running requests take all the memory that this client may use. "
                f"Send fewer at once, or retry in {RETRY_AFTER_S:g} s.",
                retry_after_s=RETRY_AFTER_S,
            )

    def adjust(self, client: str, size: int) -> None:
        self.held_bytes += size
        held = self._held_by_client.get(client, 0) + size
        if held:
            self._held_by_client[client] = held
        else:
            self._held_by_client.pop(client, None)


class UploadReservation:
    """The bytes of one request. Call `release` when the request ends."""

    __slots__ = ("_budget", "_client", "_size")

    def __init__(self, upload_budget: UploadBudget, client: str) -> None:
        self._budget = upload_budget
        self._client = client
        self._size = 0

    def check(self, size: int) -> None:
        """Raises ServerBusy if `size` more bytes do not fit now."""
        self._budget.check(self._client, size)

    def grow(self, size: int) -> None:
        """Count `size` more bytes.

        Raises:
            ServerBusy: they do not fit, and are not counted.
        """
        self._budget.check(self._client, size)
        self._budget.adjust(self._client, size)
        self._size += size

    def shrink(self, size: int) -> None:
        """Release `size` bytes that are no longer in memory."""
        size = min(size, self._size)
        if not size:
            return
        self._budget.adjust(self._client, -size)
        self._size -= size

    def release(self) -> None:
        self.shrink(self._size)
