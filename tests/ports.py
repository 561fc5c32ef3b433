"""Ports of the test run."""

import random
import socket

# Not the seeded one: hypothesis sets that alike in every process.
_random = random.SystemRandom()


def free_port() -> int:
    """A loopback port that nobody listens on, and that no connection is given by the kernel: what
    is stopped can be started again on it."""
    while True:
        port = _random.randrange(20_000, 30_000)  # below Linux' ip_local_port_range
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
