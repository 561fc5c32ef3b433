"""May it run now? As many requests at the daemon as it has slots; the rest wait in line.

The daemon itself queues without bound, and says nothing while it does (findings). So this is where
a request is told its place, or no: at once where the line is full, or where the measured rate says
that its deadline cannot be met.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from app.errors import DeadlineExceeded, QueueFull

FIRST_GUESS_S = 5.0  # the service time before one was measured
LEARNING = 0.2  # the share of the newest service time in the average
TRUSTED = 3  # services after which the average decides who is refused


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the line: 1 is next; the wait that is expected, in milliseconds."""

    position: int
    eta_ms: float


@dataclass(eq=False, slots=True)
class Ticket:
    """One that waits for a slot, or holds one."""

    client: str
    asked: float = field(default_factory=time.perf_counter)
    granted: float = 0.0  # when it got its slot; 0 while it waits
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def waited_ms(self) -> float:
        return (self.granted - self.asked) * 1e3


class Gate:
    """Slots and a bounded line, in which clients (API keys) take turns.

    A client with a hundred requests waits behind one with one, not before it; those of one client
    are served in their order.
    """

    def __init__(self, slots: int, max_queue: int) -> None:
        self.slots = slots
        self.max_queue = max_queue
        self.running = 0
        self.draining = False  # what is in the line is still served, nothing new is
        self._lines: dict[str, deque[Ticket]] = {}  # by client, in the order of their turns
        self._service_s = FIRST_GUESS_S
        self._served = 0

    def resize(self, slots: int) -> None:
        """The engine takes so many at once: known when it has told what it runs."""
        self.slots = slots
        self._grant()

    @property
    def waiting(self) -> int:
        return sum(map(len, self._lines.values()))

    @contextmanager
    def enter(self, client: str = "", within_s: float = float("inf")) -> Iterator[Ticket]:
        """A ticket: wait for its slot with `places`. It is given back at the end, wherever it is.

        Args:
            client: who asks; clients take turns.
            within_s: how long it can wait at most.

        Raises:
            QueueFull: with the seconds after which a place should be free.
            DeadlineExceeded: its turn will not come in time.
        """
        self.check(within_s)
        ticket = Ticket(client)
        self._lines.setdefault(client, deque()).append(ticket)
        self._grant()
        try:
            yield ticket
        finally:
            self._leave(ticket)

    async def places(self, ticket: Ticket) -> AsyncGenerator[Place, None]:
        """The ticket's place whenever it changes; ends when it has its slot."""
        last = 0
        while not ticket.granted:
            ticket.changed.clear()
            position = self._position(ticket)
            if position != last:
                last = position
                yield Place(position, self._wait_s(position) * 1e3)
            else:
                await ticket.changed.wait()

    def check(self, within_s: float = float("inf")) -> None:
        """Whether one more may wait; raises as `enter` does."""
        position = self.waiting + 1
        if self.running < self.slots and position == 1:
            return
        wait_s = self._wait_s(position)
        if position > self.max_queue:
            raise QueueFull(
                f"{self.running} request(s) run and {self.waiting} wait, which is all that this "
                f"server takes. Try again in about {max(1, round(wait_s))} s.",
                retry_after_s=wait_s,
            )
        if wait_s > within_s and self._served >= TRUSTED:
            raise DeadlineExceeded(
                f"{self.waiting} request(s) wait before this one, about {wait_s:.0f} s at "
                f"{self._service_s:.1f} s each and {self.slots} at once; it may take "
                f"{within_s:g} s. Try again later.",
                retry_after_s=wait_s - within_s,
            )

    def _wait_s(self, position: int) -> float:
        return self._service_s * position / self.slots

    def _position(self, ticket: Ticket) -> int:
        """From 1: clients take turns, so those before it are the ones with an earlier round."""
        clients = list(self._lines)
        mine = self._lines[ticket.client].index(ticket)
        before = mine
        for turn, client in enumerate(clients):
            if client != ticket.client:
                earlier = turn < clients.index(ticket.client)
                before += min(len(self._lines[client]), mine + earlier)
        return before + 1

    def _grant(self) -> None:
        """Give free slots to those whose turn it is, and tell the others that places changed."""
        while self.running < self.slots and self._lines:
            client = next(iter(self._lines))
            line = self._lines.pop(client)
            ticket = line.popleft()
            if line:
                self._lines[client] = line  # behind the other clients
            self.running += 1
            ticket.granted = time.perf_counter()
            ticket.changed.set()
        for line in self._lines.values():
            for ticket in line:
                ticket.changed.set()

    def _leave(self, ticket: Ticket) -> None:
        if ticket.granted:
            self.running -= 1
            self._served += 1
            took = time.perf_counter() - ticket.granted
            share = LEARNING if self._served > 1 else 1.0  # the first replaces the guess
            self._service_s += share * (took - self._service_s)
        else:
            line = self._lines[ticket.client]
            line.remove(ticket)
            if not line:
                del self._lines[ticket.client]
        self._grant()
