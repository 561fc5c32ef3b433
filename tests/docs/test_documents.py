"""What the documents list is what there is; both languages say the same; links lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.models.catalog import ALIASES, BY_TAG
from app.settings import Settings
from tests.docs.document import commands, documents, lines
from tests.inference_server import REPO
from tools import tables

TWINS = [
    (REPO / "MODEL_INFO.en.md", REPO / "MODEL_INFO.md"),
    *((path.with_name(path.name.replace(".ko", "")), path) for path in REPO.glob("*.ko.md")),
    *((path.with_name(path.name.replace(".ko", "")), path) for path in REPO.glob("docs/*.ko.md")),
]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)


def name(path: Path) -> str:
    return str(path.relative_to(REPO))


def blocks(path: Path) -> list[tuple[str, list[str]]]:
    """Kind and lines of each block of code; of commands without their comments."""
    return [
        (kind, [line for _, line in lines(text, console=False)] if kind == "bash" else [text])
        for kind, text in FENCE.findall(path.read_text())
    ]


@pytest.mark.parametrize(("english", "korean"), TWINS, ids=[name(twin[1]) for twin in TWINS])
def test_twins(english: Path, korean: Path) -> None:
    """The same code, the same reasons, as many headings and table rows; each links to the other."""
    assert blocks(english) == blocks(korean)
    told = [
        [(one.text, one.exports, one.why) for one in commands(path)] for path in (english, korean)
    ]
    assert told[0] == told[1]
    texts = [FENCE.sub("", path.read_text()) for path in (english, korean)]
    for mark in (r"^#+ ", r"^\|"):
        first, second = (len(re.findall(mark, text, re.M)) for text in texts)
        assert first == second, mark
    assert f"]({korean.name})" in texts[0] and f"]({english.name})" in texts[1]


def test_all_the_documents_are_there() -> None:
    for one in ("MODEL_INFO.md", "README.md", "README.ko.md"):
        assert (REPO / one).exists()
    guides = ("TERMINAL_SETUP_GUIDE", "VESSL_SETUP_GUIDE", "SETUP_SUMMARY", "QUICK_REFERENCE")
    for guide in (*guides, "PROJECT_STRUCTURE"):
        for ending in (".md", ".ko.md"):
            assert (REPO / "docs" / f"{guide}{ending}").exists()


@pytest.mark.parametrize("path", documents(), ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if target.startswith("http"):
            continue
        file, _, anchor = target.partition("#")
        there = path.parent / file if file else path
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


def anchors(path: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


@pytest.mark.parametrize("document", tables.DOCUMENTS)
def test_tables_are_the_catalogue(document: str) -> None:
    text = (REPO / document).read_text()
    assert tables.filled(text) == text, "run: python -m tools.tables"
    assert {found[1] for found in tables.PLACE.findall(text)} == set(tables.TABLES)


def test_a_table_that_was_edited_is_found() -> None:
    text = (REPO / "MODEL_INFO.md").read_text()
    assert tables.filled(text.replace("21 GB |", "32 GB |")) == text
    done = subprocess.run(
        [sys.executable, "-m", "tools.tables", "--check"], cwd=REPO, check=False, timeout=120
    )
    assert done.returncode == 0


def test_no_other_tag_is_named() -> None:
    """Tags that were never published stand only where that is said."""
    said = {f"{tag}{kind}" for tag in BY_TAG for kind in ("", "-instruct", "-thinking")}
    for path in documents():
        known = said | set(ALIASES) if path.name.startswith("MODEL_INFO") else said
        assert set(re.findall(r"qwen3-vl:[\w.-]*\w", path.read_text())) <= known, path


@pytest.mark.parametrize("document", ["QUICK_REFERENCE.md", "QUICK_REFERENCE.ko.md"])
def test_all_settings_are_told(document: str) -> None:
    told = set(re.findall(r"^\| (.*?) \|", (REPO / "docs" / document).read_text(), re.M))
    names = {one for cell in told for one in re.findall(r"`([A-Z_]+)`", cell)}
    assert {one.upper() for one in Settings.model_fields} <= names


@pytest.mark.parametrize("document", ["PROJECT_STRUCTURE.md", "PROJECT_STRUCTURE.ko.md"])
def test_the_structure_is_the_structure(document: str) -> None:
    """What its tables name is there, and nothing of app/ or of the top is left out."""
    text = (REPO / "docs" / document).read_text()
    named = {
        one
        for cell in re.findall(r"^\| (.*?) \|", text, re.M)
        for one in re.findall(r"`([\w./-]+)`", cell)
    } - {"app/"}
    for one in named:
        assert (REPO / one).exists(), one
    rooms = {
        f"app/{path.name}"
        for path in (REPO / "app").iterdir()
        if path.name not in ("__init__.py", "__pycache__")
        and (path.suffix == ".py" or path.is_dir())
    }
    assert rooms <= named | set(re.findall(r"`(app/[\w./]+)`", text)), rooms
    listed = subprocess.run(
        ["git", "ls-files"], cwd=REPO, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    folders = {one.split("/")[0] for one in listed if "/" in one and not one.startswith(".")}
    assert folders - {"app"} <= named
