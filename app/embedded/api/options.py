"""Type checks of request options. As in Ollama, unknown options are ignored."""

from collections.abc import Mapping
from typing import Any

from app.embedded.api.errors import ApiError

NUMBER, LIST, BOOL = (int, float), (list,), (bool,)
INTEGERS = """num_keep seed num_predict top_k repeat_last_n num_ctx num_batch num_gpu main_gpu
num_thread"""
FLOATS = """top_p min_p typical_p temperature repeat_penalty presence_penalty frequency_penalty"""
# Name -> accepted Python types, Go's name of the type.
OPTIONS: Mapping[str, tuple[tuple[type, ...], str]] = {
    **dict.fromkeys(INTEGERS.split(), (NUMBER, "integer")),
    **dict.fromkeys(FLOATS.split(), (NUMBER, "float32")),
    "stop": (LIST, "array"),
    "use_mmap": (BOOL, "boolean"),
}


def check_options(options: Mapping[str, Any]) -> None:
    """Raises ApiError 500, as Ollama does, for an option of the wrong type."""
    for name, (types, go_type) in OPTIONS.items():
        given = options.get(name)
        wrong = not isinstance(given, types) or (isinstance(given, bool) and types is not BOOL)
        if given is not None and wrong:
            raise ApiError(500, f'option "{name}" must be of type {go_type}')
