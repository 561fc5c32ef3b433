"""`python -m benchmarks.pages.real --against FOLDER`: real PDFs, before and after a change.

The PDFs are those of Debian packages (documentation with figures, LaTeX papers, texts of many
languages), fetched once. FOLDER is a checkout of the code to compare with. Both look at the same
file in turns, each in a process of its own; a time is the least of several, in CPU time a page.

Texts are equal where they are the same characters in composed form, white space aside: where lines
end is what a change may mend.
"""

import argparse
import gzip
import json
import subprocess
import sys
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pypdfium2 as pdfium  # type: ignore[import-untyped]

REPO = Path(__file__).parents[2]
PACKAGES = (
    *("bash-doc", "debian-faq", "debian-reference-ja", "developers-reference-ja", "gnuplot-doc"),
    *("fonts-hosny-amiri", "installation-guide-amd64", "lilypond-doc-pdf", "octave-doc"),
    *("r-doc-pdf", "texlive-latex-base-doc", "ghostscript-doc", "libtasn1-doc"),
)
FILES = (
    *(f"install.{tag}.pdf" for tag in ("en", "ko", "ja", "ru", "vi", "zh_CN", "cs")),
    *("bash.pdf", "debian-faq.en.pdf", "debian-reference.ja.pdf", "R-intro.pdf", "refman.pdf"),
    *("octave.pdf", "refcard-a4.pdf", "gnuplot.pdf", "learning.pdf", "notation.pdf"),
    *("Documentation-Arabic.pdf", "GS9_Color_Management.pdf", "tugboat-babelbib.pdf"),
    *("natbib.pdf", "oldgerm.pdf", "testmath.pdf", "paper.pdf", "ltnews35.pdf", "encguide.pdf"),
    *("fancyhdr.pdf", "geometry.pdf", "libtasn1.pdf"),
)
MOST_PAGES = 20
TURNS = 5
WORKER = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from app.images.probe import Limits, probe
for line in sys.stdin:
    path, pages, timed = json.loads(line)
    data = open(path, "rb").read()
    started = time.process_time()
    found = probe(data, 0, Limits(50, 50), f"1-{pages}")
    spent = time.process_time() - started
    rows = [] if timed else [
        [one.text, getattr(one, "region", None), getattr(one, "below", ""), list(one.warnings)]
        for one in found
    ]
    print(json.dumps([spent, rows]), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Compared:
    """One file: its pages by what became of them, and the time a page, in milliseconds."""

    name: str
    pages: Counter[str]
    examples: tuple[str, ...]
    before_ms: float
    after_ms: float


def fetched(folder: Path) -> list[Path]:
    """The files, fetched into a folder where they are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        if not any(folder.glob(f"{package}_*.deb")):
            subprocess.run(["apt-get", "download", package], cwd=folder, check=True)  # noqa: S603, S607
            (deb,) = folder.glob(f"{package}_*.deb")
            subprocess.run(["dpkg", "-x", deb, folder / "files"], check=True)  # noqa: S603, S607
    for packed in (folder / "files").rglob("*.pdf.gz"):
        if not packed.with_suffix("").exists() and not packed.is_symlink():
            packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    found = {path.name: path for path in (folder / "files").rglob("*.pdf") if path.is_file()}
    return [found[name] for name in FILES if name in found]


class Looker:
    """A process with one version of the code."""

    def __init__(self, root: Path) -> None:
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", WORKER, str(root)],
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def look(self, path: Path, pages: int, *, timed: bool) -> tuple[float, list[Any]]:
        """CPU seconds for the file, and what its pages are."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the process has no pipes")
        self._process.stdin.write(json.dumps([str(path), pages, timed]) + "\n")
        self._process.stdin.flush()
        spent, rows = json.loads(self._process.stdout.readline())
        return spent, rows

    def close(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(10)


def compared(path: Path, before: Looker, after: Looker) -> Compared:
    """One file, by both in turns."""
    pages = min(MOST_PAGES, len(pdfium.PdfDocument(path)))
    (_, old), (_, new) = (one.look(path, pages, timed=False) for one in (before, after))
    times = [
        [one.look(path, pages, timed=True)[0] for one in (before, after)] for _ in range(TURNS)
    ]
    kinds: Counter[str] = Counter()
    examples = []
    for number, (was, now) in enumerate(zip(old, new, strict=True), 1):
        kind = _kind(was, now)
        kinds[kind] += 1
        if kind not in ("same", "no layer"):
            examples.append(f"page {number} {kind}: {now[3] or _bare(now[0])[:40]!r}")
    first, second = (min(column) / pages * 1e3 for column in zip(*times, strict=True))
    return Compared(path.name, kinds, tuple(examples[:3]), first, second)


def _kind(was: list[Any], now: list[Any]) -> str:
    if now[1]:
        return "picture read, too"
    if was[0] is None or now[0] is None:
        return "no layer" if was[0] == now[0] else "read" if now[0] is None else "now a layer"
    if _bare(was[0]) == _bare(now[0]):
        return "same"
    return "hidden text left out" if now[3] else "changed"


def _bare(text: str | None) -> str:
    return unicodedata.normalize("NFC", "".join((text or "").split()))


def main() -> None:
    """Compare two checkouts on real PDFs."""
    parser = argparse.ArgumentParser(description="Text layers of real PDFs, before and after.")
    parser.add_argument("--against", type=Path, required=True, help="a checkout to compare with")
    parser.add_argument("--cache", type=Path, default=REPO / ".cache" / "real_pdfs")
    asked = parser.parse_args()
    before, after = Looker(asked.against.resolve()), Looker(REPO)
    try:
        results = [compared(path, before, after) for path in fetched(asked.cache)]
    finally:
        before.close()
        after.close()
    print("| file | pages by what became of them | ms a page before | after | ratio |")
    print("|---|---|---|---|---|")
    for one in results:
        kinds = ", ".join(f"{count} {kind}" for kind, count in one.pages.most_common())
        ratio = one.after_ms / one.before_ms
        print(f"| {one.name} | {kinds} | {one.before_ms:.2f} | {one.after_ms:.2f} | {ratio:.2f} |")
    plain = [one for one in results if not set(one.pages) - {"same", "no layer"}]
    print(
        f"\nratio: {_ratio(results)}; of files whose layers are sound throughout: {_ratio(plain)}"
    )
    print("\n".join(f"{one.name}: {told}" for one in results for told in one.examples))


def _ratio(results: list[Compared]) -> str:
    if not results:
        return "none"
    each = median(one.after_ms / one.before_ms for one in results)
    total = sum(one.after_ms for one in results) / sum(one.before_ms for one in results)
    return f"median {each:.2f}, all pages {total:.2f} ({len(results)} files)"


if __name__ == "__main__":
    main()
