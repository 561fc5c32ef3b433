"""vessl.yaml and deploy/vessl-service.yaml by VESSL's own form classes; broken copies are refused.

Nothing was sent to VESSL: what its server says beyond these forms is not tested.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.deploy import environment
from tests.inference_server import REPO

RUN = REPO / "vessl.yaml"
SERVICE = REPO / "deploy" / "vessl-service.yaml"

# What is replaced, by what, and a word of the complaint. Those marked * stand in a guide that is
# in circulation.
BROKEN = [
    ("ports:", "workdir: /root/app\nports:", "workdir"),  # *
    ("ports:", "restart: always\nports:", "restart"),  # *
    ("ports:", "max_retries: 3\nports:", "max_retries"),  # *
    ("ports:", "readiness: {path: /ready, port: 8000}\nports:", "readiness"),
    ("import:", "mount:\n  /m:\n    volume: {name: models, size: 100Gi}\nimport:", "size"),  # *
    ("import:", "mount:\n  /m: volume://vessl-storage/models\nimport:", "can only be imported"),
    ("import:", "volumes: {/models: models}\nimport:", "volumes"),
    ("preset: gpu-a10-small", "accelerators: L4:1", "accelerators"),
    ("preset: gpu-a10-small", "preset: gpu-a10-small\n  disk: 100Gi", "disk"),
    ("cluster: vessl-oci-sanjose", "spot: 'false'", "resources.cluster: required"),
    ("resources:", "resource:", "resources: required"),
    ("image: quay.io", "container: quay.io", "image: required"),
    ("image: quay.io", "image: [quay.io]\n# ", "image"),
    ("port: 8000\n\nenv", "port: 80000\n\nenv", "65535"),
    ("port: 8000\n\nenv", "port: '8000'\n\nenv", "is not int"),
    ("type: http\n    port", "type: https\n    port", "https"),
    ("type: http\n    port", "protocol: http\n    port", "protocol"),
    ("volume://vessl-storage/qwen3-vl-models", "volume://vessl-storage", "names no volume"),
    ("volume://vessl-storage/qwen3-vl-models", "https://example.com/models", "is no import"),
    ("  /models: volume", "  models: volume", "not an absolute path"),
    ("      url: https", "      repository: https", "repository"),
    ("      ref: main", "      branch: main", "branch"),
    ("    secret: qwen3-vl-api-key", "    secretRef: qwen3-vl-api-key", "secretRef"),
    ("MODEL_NAME: qwen3-vl:32b", "MODEL_NAME: [qwen3-vl:32b]", "MODEL_NAME"),
    ("env:", "environment:", "environment"),
    ("    command: sh", "    cmd: sh", "cmd"),
    ("  - workdir: /root/app\n    command", "  start", "not a list"),
    ("resources:", "resources: {", "no YAML"),
]
BROKEN_RUN = [
    ("export:", "service: {expose: 8000}\nexport:", "service"),
    ("tags: [qwen3-vl, ocr]", "tags: qwen3-vl", "not a list"),
    ("export:", "interactive: {idle_timeout: 120m}\nexport:", "idle_timeout"),
    ("export:", "termination_protection: 'yes'\nexport:", "termination_protection"),
]
BROKEN_SERVICE = [
    ("service:\n", "export: {/models: vessl-artifact://a/b/c}\nservice:\n", "export"),
    ("service:\n", "replicas: 2\nservice:\n", "replicas"),
    ("service:\n", "serving:\n", "service: required"),
    ("expose: 8000", "expose: 8080", "none of ports"),
    ("expose: 8000", "endpoint: 8000", "endpoint"),
    ("type: http\n    path", "type: https\n    path", "https"),
    ("path: /ready", "path: /ready\n    initialDelaySeconds: 60", "initialDelaySeconds"),
    ("    - port: 8000\n      path: /metrics", "    - path: /metrics", "port"),
    ("metric: nvidia.com/gpu", "metric: gpu", "gpu"),
    ("min: 1", "min: 5", "min is above max"),
    ("max: 4", "max: four", "is not int"),
    ("max: 4", "max: 4\n    cooldown: 300", "cooldown"),
]


@pytest.fixture(scope="module")
def told() -> dict[str, list[list[str]]]:
    """All at once: starting VESSL's package takes a second. The first of each kind is ours."""
    run, service = RUN.read_text(), SERVICE.read_text()
    return ask(
        runs=[run, *(broken(run, *how) for how in BROKEN + BROKEN_RUN)],
        services=[service, *(broken(service, *how) for how in BROKEN + BROKEN_SERVICE)],
    )


def ask(**what: Any) -> dict[str, list[list[str]]]:
    done = subprocess.run(
        [environment.vessl(), Path(__file__).with_name("with_vessl.py")],
        input=json.dumps(what),
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, list[list[str]]] = json.loads(done.stdout)
    return told


def broken(text: str, old: str, new: str, _: str) -> str:
    assert old in text, f"{old!r} is no longer there to be broken"
    return text.replace(old, new, 1)


def test_ours_have_no_complaint(told: dict[str, list[list[str]]]) -> None:
    assert told["runs"][0] == []
    assert told["services"][0] == []


@pytest.mark.parametrize("number", range(len(BROKEN + BROKEN_RUN)))
def test_a_broken_run_is_refused(told: dict[str, list[list[str]]], number: int) -> None:
    *_, word = (BROKEN + BROKEN_RUN)[number]
    complaints = told["runs"][number + 1]
    assert any(word in one.partition(" (known")[0] for one in complaints), complaints


@pytest.mark.parametrize("number", range(len(BROKEN + BROKEN_SERVICE)))
def test_a_broken_service_is_refused(told: dict[str, list[list[str]]], number: int) -> None:
    *_, word = (BROKEN + BROKEN_SERVICE)[number]
    complaints = told["services"][number + 1]
    assert any(word in one.partition(" (known")[0] for one in complaints), complaints


@pytest.mark.parametrize("path", [RUN, SERVICE], ids=lambda path: path.name)
def test_what_no_form_knows(path: Path) -> None:
    """The key is a secret, the port is the one that is published, and commands are POSIX sh."""
    spec = yaml.safe_load(path.read_text())
    variables = spec["env"]
    assert variables["API_KEY"] == {"secret": "qwen3-vl-api-key"}
    assert variables["HOST"] == "0.0.0.0"
    assert int(variables["PORT"]) == spec["ports"][0]["port"] == 8000
    assert variables["OLLAMA_MODELS"] in spec["import"]
    for step in spec["run"]:
        assert "<<" not in step["command"]
        shell = subprocess.run(["dash", "-n", "-c", step["command"]], check=False)
        assert shell.returncode == 0


def test_both_run_the_same() -> None:
    run, service = (yaml.safe_load(path.read_text()) for path in (RUN, SERVICE))
    for key in ("resources", "image", "import", "ports", "run"):
        assert run[key] == service[key], key
    assert service["env"] == run["env"] | {"ALLOW_ANONYMOUS_METRICS": "true"}
