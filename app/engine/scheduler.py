"""The scheduler: limits the requests at the daemon to its slots and queues the rest.

The daemon queues without a limit and sends nothing meanwhile (docs/OLLAMA_FACTS.md). This queue
therefore reports positions. It refuses a request at once if it is full, or if the measured service
time shows that the request cannot meet its deadline.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from app.errors import DeadlineExceeded, QueueFull

INITIAL_SERVICE_S = 5.0  # service time assumed before the first measurement
SMOOTHING = 0.2  # weight of the newest service time in the average
MIN_SAMPLES = 3  # measurements before the average may refuse a request


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """A position in the queue (1 is next) and the expected wait in milliseconds."""

    position: int
    eta_ms: float


@dataclass(eq=False, slots=True)
class Ticket:
    """A request that waits for a slot or holds one."""

    client: str
    queued_at: float = field(default_factory=time.perf_counter)
    granted_at: float = 0.0  # time at which it got its slot; 0 while it waits
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def waited_ms(self) -> float:
        return (self.granted_at - self.queued_at) * 1e3


class Scheduler:
    """Slots and a bounded queue that serves clients (API keys) round-robin.

    A client with a hundred requests does not delay a client with one. Requests of one client are
    served in order.
    """

    def __init__(self, slots: int, max_queue: int) -> None:
        self.slots = slots
        self.max_queue = max_queue
        self.running = 0
        self.draining = False  # the queue is still served; nothing new is accepted
        self._queues: dict[str, deque[Ticket]] = {}  # by client, in round-robin order
        self._service_s = INITIAL_SERVICE_S
        self._samples = 0

    def resize(self, slots: int) -> None:
        """Set the number of slots, once the engine's parallelism is known."""
        self.slots = slots
        self._grant_slots()

    @property
    def waiting(self) -> int:
        return sum(map(len, self._queues.values()))

    @contextmanager
    def enqueue(self, client: str = "", max_wait_s: float = float("inf")) -> Iterator[Ticket]:
        """Queue a request. Its ticket waits for a slot with `positions`, and is released on exit.

        Args:
            client: key or address of the client, for round-robin.
            max_wait_s: the longest wait in seconds.

        Raises:
            QueueFull: the queue is full. `retry_after_s` is the expected time until a free place.
            DeadlineExceeded: the expected wait is longer than `max_wait_s`.
        """
        self.check_capacity(max_wait_s)
        ticket = Ticket(client)
        self._queues.setdefault(client, deque()).append(ticket)
        self._grant_slots()
        try:
            yield ticket
        finally:
            self._release(ticket)

    async def positions(self, ticket: Ticket) -> AsyncGenerator[QueuePosition, None]:
        """Yield the ticket's position whenever it changes, until it has a slot."""
        last = 0
        while not ticket.granted_at:
            ticket.changed.clear()
            position = self._position(ticket)
            if position != last:
                last = position
                yield QueuePosition(position, self._expected_wait_s(position) * 1e3)
            else:
                await ticket.changed.wait()

    def check_capacity(self, max_wait_s: float = float("inf")) -> None:
        """Raises as `enqueue` does if a new request would be refused now."""
        position = self.waiting + 1
        if self.running < self.slots and position == 1:
            return
        wait_s = self._expected_wait_s(position)
        if position > self.max_queue:
            raise QueueFull(
                f"The queue is full: {self.running} request(s) are running and {self.waiting} are "
                f"waiting. Retry in about {max(1, round(wait_s))} s.",
                retry_after_s=wait_s,
            )
        if wait_s > max_wait_s and self._samples >= MIN_SAMPLES:
            raise DeadlineExceeded(
                f"{self.waiting} request(s) are ahead of this one: about {wait_s:.0f} s at "
                f"{self._service_s:.1f} s each and {self.slots} at once. The limit is "
                f"{max_wait_s:g} s. Retry later.",
                retry_after_s=wait_s - max_wait_s,
            )

    def _expected_wait_s(self, position: int) -> float:
        return self._service_s * position / self.slots

    def _position(self, ticket: Ticket) -> int:
        """The position from 1. Clients take turns, so tickets of earlier rounds come first."""
        clients = list(self._queues)
        mine = self._queues[ticket.client].index(ticket)
        before = mine
        for turn, client in enumerate(clients):
            if client != ticket.client:
                earlier = turn < clients.index(ticket.client)
                before += min(len(self._queues[client]), mine + earlier)
        return before + 1

    def _grant_slots(self) -> None:
        """Assign free slots in round-robin order, and signal changed positions to the others."""
        while self.running < self.slots and self._queues:
            client = next(iter(self._queues))
            queue = self._queues.pop(client)
            ticket = queue.popleft()
            if queue:
                self._queues[client] = queue  # now last in the round
            self.running += 1
            ticket.granted_at = time.perf_counter()
            ticket.changed.set()
        for queue in self._queues.values():
            for ticket in queue:
                ticket.changed.set()

    def _release(self, ticket: Ticket) -> None:
        if ticket.granted_at:
            self.running -= 1
            self._samples += 1
            took = time.perf_counter() - ticket.granted_at
            share = SMOOTHING if self._samples > 1 else 1.0  # the first one replaces the guess
            self._service_s += share * (took - self._service_s)
        else:
            queue = self._queues[ticket.client]
            queue.remove(ticket)
            if not queue:
                del self._queues[ticket.client]
        self._grant_slots()
