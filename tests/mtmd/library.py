"""Run with the library's folder in PYTHONPATH: tokenizes prompts, as llama-server does.

Reads a line of JSON for each prompt from standard input: {"text": ..., "pictures": [[width,
height], ...]} with `<image>` in the text where a picture stands. Writes a line for each: a list of
[kind, tokens], kind being 0 for text and 1 for a picture.
"""

import json
import sys
from typing import Any

from llama_cpp_py_sync import Llama  # type: ignore[import-not-found]
from llama_cpp_py_sync.multimodal import MultimodalContext  # type: ignore[import-not-found]


def main(text_model: str, projector: str, least: str) -> None:
    model = Llama(text_model, n_ctx=512)
    context = MultimodalContext(
        model, projector, use_gpu=False, warmup=False, image_min_tokens=int(least)
    )
    for line in sys.stdin:
        print("RESULT", json.dumps(chunks(context, **json.loads(line))), flush=True)


def chunks(context: Any, text: str, pictures: list[list[int]]) -> list[list[int]]:
    ffi, library = context._ffi, context._lib
    prompt = text.replace("<image>", context.marker).encode()
    # Without pixels it is a placeholder, which is counted and cannot be encoded.
    images = [library.mtmd_bitmap_init(width, height, ffi.NULL) for width, height in pictures]
    buffer = ffi.new("char[]", prompt)
    told = ffi.new("mtmd_input_text *")
    told.text = buffer
    if hasattr(told, "text_len"):
        told.text_len = len(prompt)
    told.add_special, told.parse_special = False, True
    listed = ffi.new("const mtmd_bitmap *[]", images)
    found = library.mtmd_input_chunks_init()
    if library.mtmd_tokenize(context._ctx, found, told, listed, len(images)):
        raise ValueError(text)
    every = [
        library.mtmd_input_chunks_get(found, at)
        for at in range(library.mtmd_input_chunks_size(found))
    ]
    return [
        [
            int(library.mtmd_input_chunk_get_type(one)),
            int(library.mtmd_input_chunk_get_n_tokens(one)),
        ]
        for one in every
    ]


if __name__ == "__main__":
    main(*sys.argv[1:])
