"""Free ports for the programs that tests start."""

import random
import socket

# hypothesis seeds the shared generator alike in every process of the test run.
_random = random.SystemRandom()


def free_port() -> int:
    """A loopback port that nobody listens on. The kernel does not use it for outgoing connections,
    so that a program can be stopped and started again on the same port."""
    while True:
        port = _random.randrange(20_000, 30_000)  # below Linux' ip_local_port_range
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
