"""The machine, its engine and its server."""

from collections.abc import Iterator

import pytest

from tests.docs.document import Command, commands, documents
from tests.docs.lent import LENDER, Lent
from tests.docs.machine import Machine
from tests.inference_server import Server
from tests.ollama_daemon.install import InstallError, install, unsupported


def different() -> list[Command]:
    """The commands of all documents, each once: twins of two languages have the same."""
    found: dict[object, Command] = {}
    for path in documents():
        for command in commands(path):
            found.setdefault((command.text, command.exports, command.why), command)
    return list(found.values())


@pytest.fixture(scope="session")
def lent(embedded: str) -> Iterator[Lent]:
    with Lent(embedded) as lent:
        yield lent


@pytest.fixture(scope="session")
def machine(lent: Lent, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("machine")
    settings = {"OLLAMA_HOST": lent.url, "MODEL_NAME": LENDER}
    with Server(folder / "server.log", **settings) as server:
        machine = Machine(folder, server.url, **settings)
        machine.copy_repository()
        if not unsupported():
            try:
                # Ollama's own command, though of an older release: it asks the daemon
                program = folder / "bin" / "ollama"
                program.write_text(f'#!/bin/sh\nexec "{install() / "ollama"}" "$@"\n')
                program.chmod(0o755)
            except InstallError:
                pass  # the tests of its lines skip
        yield machine
