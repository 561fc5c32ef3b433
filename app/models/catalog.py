"""The Qwen3-VL tags of Ollama's library, and the names users know them by.

Sizes are the library's download sizes (decimal gigabytes). Two tags that older guides name,
`32b-q4` and `14b`, were never published: they resolve to what their reader meant.

Standard library only, so that `python3 -m app.models.catalog TAG` works before any install.
"""

import sys
from dataclasses import dataclass

DEFAULT_MODEL = "qwen3-vl:32b"
MIN_OLLAMA = "0.12.7"  # the first release that runs qwen3-vl


@dataclass(frozen=True, slots=True)
class Entry:
    """One published tag."""

    tag: str
    download_bytes: int
    kind: str


ENTRIES = tuple(
    Entry(f"qwen3-vl:{size}", int(gigabytes * 1e9), kind)
    for size, gigabytes, kind in (
        ("2b", 1.9, "dense"),
        ("4b", 3.3, "dense"),
        ("8b", 6.1, "dense"),
        ("30b", 20, "mixture, 3B active"),
        ("32b", 21, "dense"),
        ("235b", 143, "mixture, 22B active"),
    )
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
    """The tag that `name` means, and a sentence about the change (empty where there is none)."""
    return ALIASES.get(name, (name, ""))


def main(argv: list[str]) -> int:
    """Print `tag<TAB>download bytes<TAB>note` for the shell scripts; 2 for an unknown tag."""
    if len(argv) != 1:
        sys.stderr.write("usage: python3 -m app.models.catalog TAG\n")
        return 2
    tag, note = resolve(argv[0])
    entry = BY_TAG.get(tag)
    if entry is None:
        known = ", ".join(BY_TAG)
        sys.stderr.write(f"{tag} is not in the catalogue; it holds {known}\n")
        return 2
    sys.stdout.write(f"{entry.tag}\t{entry.download_bytes}\t{note}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
