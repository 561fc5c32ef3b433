"""Who may import whom: the way of the data goes down, and nothing reaches back up."""

import ast
from pathlib import Path

import pytest

APP = Path(__file__).parents[1] / "app"

# What each room may import of `app`, beside itself.
LEAVES = {"settings", "errors", "schemas", "logs"}
SEEN = {"context", "metrics", "uploads", "problems"}  # by the routes and the middleware
MAY = {
    "routes": {"tasks", "engine", "images", "models"} | LEAVES | SEEN,
    "tasks": {"context", "engine", "images", "models"} | LEAVES,
    "engine": {"models"} | LEAVES - {"schemas"},
    "images": {"models"} | LEAVES,
    "models": set(),
    "embedded": set(),
    "settings": {"models"},
    "errors": set(),
    "schemas": set(),
    "logs": set(),
    "context": {"engine", "schemas", "uploads"},
    "problems": {"context", "errors", "logs"},
    "fast_path": {"errors", "problems"},
    "auth": {"context", "problems", "errors"},
    "connection": set(),
    "heap": set(),
    "drain": {"engine", "logs"},
    "rates": {"errors"},
    "uploads": {"errors"},
    "account": {"context", "schemas"},
    "metrics": {"account", "engine"},
    "traces": {"spans", "logs"},
    "spans": {"account"},
    "middleware": {"account", "context", "problems", "logs", "metrics"},
    "main": None,  # ties the parts together
    "client": set(),  # stands on the other side of HTTP
    "bulk": {"client"},
    "compare": {"client", "images", "errors"},
    "cli": {"bulk", "client", "compare", "engine", "models"} | LEAVES,
    "__main__": {"cli"},
}


def imports(path: Path) -> set[str]:
    """The rooms of `app` that a file imports from."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "app":
                names = [f"app.{alias.name}" for alias in node.names]
            assert node.level == 0, f"{path}: imports are absolute here"
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("app.")}
    return found


FILES = sorted(APP.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(APP)))
def test_imports_go_down(path: Path) -> None:
    room = path.relative_to(APP).parts[0].removesuffix(".py")
    if room == "__init__":
        assert imports(path) == set()
        return
    allowed = MAY[room]
    if allowed is not None:
        assert imports(path) - {room} <= allowed


def test_images_and_engine_do_not_know_http_frameworks() -> None:
    for room in ("images", "engine", "tasks", "models"):
        for path in (APP / room).rglob("*.py"):
            text = path.read_text()
            assert "fastapi" not in text and "starlette" not in text, path
