"""A lock for what tests install: they run in several processes."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from filelock import FileLock

CACHE = Path(__file__).parents[1] / ".cache"

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def one_at_a_time(install: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Decorate an install function: a second process waits and finds the result of the first."""

    @wraps(install)
    def alone(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        CACHE.mkdir(exist_ok=True)
        with FileLock(CACHE / "install.lock"):
            return install(*args, **kwargs)

    return alone
