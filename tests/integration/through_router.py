"""`server.py` without the fast path: every request goes through FastAPI's router."""

from typing import cast

from fastapi import FastAPI

import server
from app.main import create_app
from app.middleware.fast_path import FastPathMiddleware
from app.settings import Settings


def without_fast_path(settings: Settings) -> FastAPI:
    app = create_app(settings)
    others = [one for one in app.user_middleware if cast(object, one.cls) is not FastPathMiddleware]
    if len(others) + 1 != len(app.user_middleware):
        raise AssertionError("the application has no fast path to leave out")
    app.user_middleware = others
    return app


if __name__ == "__main__":
    server.create_app = without_fast_path  # type: ignore[assignment,attr-defined]
    server.main()
