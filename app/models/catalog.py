"""The Qwen3-VL tags of Ollama's library with their sizes and shapes, and the aliases of tags.

Sources of the numbers:

* `download_bytes`: the library's listing (decimal gigabytes, rounded there). It includes the vision
  tower: the blob pages of 8b and 30b list its keys with those of the text model.
* layers, KV heads, head dimension: the blob pages of 8b (36 x 8 x 128) and 30b (48 x 4 x 128);
  the GGUF header of 235b-a22b in a llama.cpp log (94 x 4 x 128); published configurations of
  Qwen3-VL fine-tunes for 32b (64 x 8 x 128) and 2b (28 x 8 x 128); Qwen3-4B's for 4b, on which
  it is built (36 x 8 x 128).
* `weights_bytes`: for 32b its text file (19,762,151,200 bytes as Q4_K_M) with a 16-bit vision tower
  (about 1.2 GB), rounded up: 19.6 GiB. The others are ESTIMATES: the size of the download. They are
  too high because Ollama keeps the input embeddings in CPU memory (0.4 GiB of 32b).
* An image costs one token per cell of 32 x 32 px. The least and the most tokens depend on the
  engine's version: `app/models/tokens.py`.
* The models are trained for 262,144 tokens. Ollama 0.12.7 is the first release that runs them.

Older guides name two tags that were never published, `32b-q4` and `14b`. They resolve to the model
that was meant. This module uses the standard library only, so that
`python3 -m app.models.catalog TAG` works before anything is installed.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from app.models.daemon import parse_version

DEFAULT_MODEL = "qwen3-vl:32b"
MIN_OLLAMA = "0.12.7"  # the first release that runs qwen3-vl
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One model and its shape.

    kind: "dense", "mixture, ...", or the architecture of a model that is not in the catalogue.
    weights_bytes: size of the weights in GPU memory.
    estimated: `weights_bytes` is the size of the download.
    trained: longest context (tokens) that the model is trained for.
    image_cell: side of the square that costs one token, in pixels.
    family: the model family as Ollama names it.
    """

    tag: str
    download_bytes: int
    kind: str
    layers: int
    kv_heads: int
    head_dim: int
    weights_bytes: int
    estimated: bool = True
    trained: int = 262_144
    image_cell: int = 32
    min_ollama: str = MIN_OLLAMA
    family: str = "qwen3vl"

    @property
    def cache_values_per_token(self) -> int:
        """Numbers in the KV cache for one token: keys and values of every layer."""
        return self.layers * self.kv_heads * self.head_dim * 2


def _entry(
    size: str, gigabytes: float, kind: str, *, layers: int, kv_heads: int, gib: float = 0
) -> CatalogEntry:
    """Make an entry; `gib`: size of the weights in GPU memory, 0 to estimate it by the download."""
    download = int(gigabytes * 1e9)
    weights = int(gib * GIB) or download
    tag = f"qwen3-vl:{size}"
    return CatalogEntry(tag, download, kind, layers, kv_heads, 128, weights, estimated=not gib)


# From small to large; `smaller` relies on this order.
ENTRIES = (
    _entry("2b", 1.9, "dense", layers=28, kv_heads=8),
    _entry("4b", 3.3, "dense", layers=36, kv_heads=8),
    _entry("8b", 6.1, "dense", layers=36, kv_heads=8),
    _entry("30b", 20, "mixture, 3B active", layers=48, kv_heads=4),
    _entry("32b", 21, "dense", layers=64, kv_heads=8, gib=19.6),
    _entry("235b", 143, "mixture, 22B active", layers=94, kv_heads=4),
)
BY_TAG = {entry.tag: entry for entry in ENTRIES}

ALIASES = {
    "qwen3-vl:32b-q4": (
        "qwen3-vl:32b",
        "qwen3-vl:32b-q4 was never published; qwen3-vl:32b is the 4-bit model",
    ),
    "qwen3-vl:14b": (
        "qwen3-vl:8b",
        "qwen3-vl:14b was never published; qwen3-vl:8b is the nearest that exists",
    ),
}


def resolve(name: str) -> tuple[str, str]:
    """Return the tag that `name` resolves to, and a note about the change ("" if unchanged)."""
    return ALIASES.get(name, (name, ""))


def find_entry(name: str) -> CatalogEntry | None:
    """Return the catalogue entry of a name; None if it is not in the catalogue.

    The `-instruct` and `-thinking` variants have the shape of the plain tag. Other quantizations
    are not in the catalogue.
    """
    tag, _ = resolve(name)
    return BY_TAG.get(tag.removesuffix("-instruct").removesuffix("-thinking"))


def smaller_entries(entry: CatalogEntry) -> tuple[CatalogEntry, ...]:
    """Return the models of the catalogue with smaller weights, the largest first."""
    return tuple(e for e in reversed(ENTRIES) if e.weights_bytes < entry.weights_bytes)


def entry_from_model_info(
    tag: str, file_bytes: int, info: Mapping[str, Any]
) -> CatalogEntry | None:
    """Return the shape of an installed model; None if `info` does not describe a transformer.

    Args:
        file_bytes: its size in `/api/tags`.
        info: its `model_info` in `/api/show` (GGUF keys).
    """
    arch = info.get("general.architecture", "")

    def number(key: str) -> int:
        value = info.get(f"{arch}.{key}")
        return value if isinstance(value, int) else 0  # some models list one number per layer

    layers, heads = number("block_count"), number("attention.head_count")
    head_dim = number("attention.key_length") or number("embedding_length") // max(heads, 1)
    kv_heads = number("attention.head_count_kv") or heads
    if not (layers and kv_heads and head_dim):
        return None
    shape = CatalogEntry(
        tag, file_bytes, str(arch), layers, kv_heads, head_dim, file_bytes, family=str(arch)
    )
    trained = number("context_length")
    return replace(shape, trained=trained) if trained else shape


def is_new_enough(found: str, wanted: str = MIN_OLLAMA) -> bool:
    """Return whether version `found` is `wanted` or later; 0.0.0, a build from source, is."""
    number, required = parse_version(found), parse_version(wanted)
    return number == (0, 0, 0) or number >= required


def main(argv: list[str]) -> int:
    """Print `tag<TAB>download bytes<TAB>note` for the shell scripts; return 2 for unknown tags."""
    if len(argv) != 1:
        sys.stderr.write("usage: python3 -m app.models.catalog TAG\n")
        return 2
    tag, note = resolve(argv[0])
    entry = BY_TAG.get(tag)
    if entry is None:
        known = ", ".join(BY_TAG)
        sys.stderr.write(f"{tag} is not in the catalogue. Known tags: {known}\n")
        return 2
    sys.stdout.write(f"{entry.tag}\t{entry.download_bytes}\t{note}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
