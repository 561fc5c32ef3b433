"""`python -m tools.tables`: writes the tables of models into the documents, from the catalogue.

A table stands between `<!-- table: NAME LANGUAGE -->` and `<!-- end of table -->`.
`python -m tools.tables --check` only says whether a document differs, and ends with 1 then.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from app.models.catalog import ALIASES, DEFAULT_MODEL, ENTRIES, GIB, CatalogEntry
from app.models.memory_plan import CacheType, plan_memory

REPO = Path(__file__).parents[1]
DOCUMENTS = ("MODEL_INFO.md", "MODEL_INFO.en.md")
PLACE = re.compile(r"(<!-- table: (\w+) (ko|en) -->\n).*?(<!-- end of table -->)", re.DOTALL)

# What such cards really have, in GiB, how many of them, and who they are. Those with ECC show less
# than is printed on the box.
CARDS = (
    (8, 1, "RTX 4060"),
    (12, 1, "RTX 3060, RTX 4070"),
    (16, 1, "RTX 4060 Ti 16GB, RTX 4080"),
    (22.5, 1, "A10, A10G, L4"),
    (24, 1, "RTX 3090, RTX 4090, A5000"),
    (32, 1, "RTX 5090"),
    (40, 1, "A100 40GB"),
    (80, 1, "A100 80GB, H100"),
    (160, 2, "2 x A100 80GB, 2 x H100"),
)
KINDS = {"dense": "dense", "mixture, 3B active": "MoE, 3B", "mixture, 22B active": "MoE, 22B"}


def row(*cells: str) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |\n"


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    return row(*head) + "|" + "---|" * len(head) + "\n" + "".join(row(*one) for one in rows)


def least_gib(entry: CatalogEntry) -> float:
    """GPU memory, to a tenth of a GiB, with which the whole model is on one GPU, at the least
    context of use."""
    return (
        next(tenths for tenths in range(1, 10_000) if plan_memory(entry, tenths * GIB // 10).fits)
        / 10
    )


def models(korean: bool) -> str:
    """Every model: what it weighs and what it needs."""
    head = (
        ("모델", "다운로드", "구조", "GPU 메모리(최소)", "디스크(내려받을 때)")
        if korean
        else ("model", "download", "kind", "minimum GPU memory", "disk for the download")
    )
    rows = []
    for entry in ENTRIES:
        name = f"`{entry.tag}`"
        gigabytes = entry.download_bytes / 1e9
        rows.append(
            (
                f"**{name}**" if entry.tag == DEFAULT_MODEL else name,
                f"{gigabytes:g} GB",
                KINDS[entry.kind],
                f"{least_gib(entry):.1f} GiB",
                f"{gigabytes * 1.1:.0f} GB",
            )
        )
    return table(head, rows)


def cards(korean: bool) -> str:
    """Every size of GPU: the models that fit, and the context of the heaviest."""
    head = (
        ("GPU 메모리", "예", "들어가는 가장 큰 모델", "컨텍스트(f16)", "컨텍스트(q8_0)")
        if korean
        else ("GPU memory", "examples", "largest model that fits", "context, f16", "context, q8_0")
    )
    rows = []
    for gib, count, examples in CARDS:
        size = int(gib * GIB)
        entry = next(one for one in reversed(ENTRIES) if plan_memory(one, size, gpus=count).fits)
        kinds: tuple[CacheType, ...] = ("f16", "q8_0")
        contexts = [plan_memory(entry, size, gpus=count, cache=kind).num_ctx for kind in kinds]
        rows.append(
            (
                f"{gib:g} GiB",
                examples,
                f"`{entry.tag}`",
                *(f"{tokens:,}" if tokens else "-" for tokens in contexts),
            )
        )
    return table(head, rows)


def names(korean: bool) -> str:
    """Tags that older guides name and that never were, and what runs in their place."""
    head = (
        ("이전 문서의 이름", "실제로 실행되는 모델")
        if korean
        else ("name in older guides", "model that runs")
    )
    return table(head, [(f"`{old}`", f"`{tag}`") for old, (tag, _) in ALIASES.items()])


TABLES = {"models": models, "cards": cards, "names": names}


def filled(text: str) -> str:
    """The document with its tables as they must be. KeyError: no table has that name."""
    return PLACE.sub(lambda at: at[1] + TABLES[at[2]](at[3] == "ko") + at[4], text)


def main(argv: list[str]) -> int:
    """1 where `--check` found a difference."""
    differ = False
    for name in DOCUMENTS:
        path = REPO / name
        text = path.read_text()
        if (wanted := filled(text)) != text:
            differ = True
            sys.stdout.write(f"{name} {'differs' if '--check' in argv else 'written'}\n")
            if "--check" not in argv:
                path.write_text(wanted)
    return int(differ and "--check" in argv)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
