"""The files around the code agree: one version; the same commands for people, hooks and CI."""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from app import __version__
from app.main import create_app
from app.settings import Settings
from tests.inference_server import REPO

PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text())
MAKEFILE = (REPO / "Makefile").read_text()


def workflow() -> Any:
    return yaml.safe_load((REPO / ".github" / "workflows" / "ci.yml").read_text())


def hooks() -> Iterator[dict[str, Any]]:
    for repository in yaml.safe_load((REPO / ".pre-commit-config.yaml").read_text())["repos"]:
        yield from repository["hooks"]


def test_the_version_stands_in_one_place() -> None:
    """Whatever else states it takes it from there, or is held equal here."""
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    assert "version" in PROJECT["project"]["dynamic"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "app.__version__"}
    assert create_app(Settings(_env_file=None)).openapi()["info"]["version"] == __version__
    newest = re.search(r"^## \[([\d.]+)\] - ", (REPO / "CHANGELOG.md").read_text(), re.M)
    assert newest is not None and newest[1] == __version__
    images = re.findall(r"qwen3-vl-server:(\d\S+)", _texts("deploy"))
    assert set(images) == {__version__}


def _texts(folder: str) -> str:
    paths = (path for path in (REPO / folder).rglob("*.yaml"))
    return "\n".join(path.read_text() for path in paths)


def test_the_licence_is_there_and_named() -> None:
    licence = (REPO / "LICENSE").read_text()
    assert "Apache License\n" in licence and "END OF TERMS AND CONDITIONS" in licence
    assert PROJECT["project"]["license"] == "Apache-2.0"
    for name in PROJECT["project"]["license-files"]:
        assert (REPO / name).exists()


def test_ci_runs_what_people_run() -> None:
    steps = [step for job in workflow()["jobs"].values() for step in job["steps"]]
    commands = {step["run"] for step in steps if "run" in step}
    assert commands == {"make check", "make test"}
    for command in commands:
        assert re.search(rf"^{command.removeprefix('make ')}:", MAKEFILE, re.M)
    assert workflow()["permissions"] == {"contents": "read"}


def test_ci_has_the_supported_versions_of_python() -> None:
    least = PROJECT["project"]["requires-python"].removeprefix(">=")
    named = re.findall(r'"(3\.\d+)"', (REPO / ".github" / "workflows" / "ci.yml").read_text())
    assert least in named
    image = re.search(r"FROM python:(3\.\d+)", (REPO / "Dockerfile").read_text())
    assert image is not None and image[1] in named


def test_hooks_run_the_commands_of_make_check() -> None:
    recipe = MAKEFILE.split("\ncheck:")[1].split("\n\n")[0]
    for hook in hooks():
        program = Path(hook["entry"].split()[0])
        assert f"{program}" in recipe, hook["id"]
        assert Path(sys.executable).with_name(program.name).exists(), hook["id"]
        assert hook["language"] == "system", "the pinned version is that of the environment"


def test_issue_forms_have_what_a_form_needs() -> None:
    forms = sorted((REPO / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    assert len(forms) >= 2
    for path in forms:
        form = yaml.safe_load(path.read_text())
        assert {"name", "description", "body"} <= set(form), path
        names = [field["id"] for field in form["body"]]
        assert len(set(names)) == len(names), path
        assert any(field.get("validations", {}).get("required") for field in form["body"]), path
