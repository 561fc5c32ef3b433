"""The manifests: by the schemas of Kubernetes and KEDA, and against the running server."""

import copy
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml  # type: ignore[import-untyped]

from app.models.catalog import GIB, MIN_OLLAMA, find_entry, is_new_enough
from app.models.memory_plan import plan_memory
from app.server.shutdown import HARD_EXIT_S
from tests.deploy import environment
from tests.deploy.machine import Machine
from tests.fake_ollama.server import FakeOllama
from tests.inference_server import REPO, Server
from tests.pictures import encoded, scene

FOLDER = REPO / "deploy" / "kubernetes"
OLDEST, NEWEST = "1.30", "1.37"
KEY = "a-secret"

Document = dict[str, Any]
Break = Callable[[Document], None]


def documents() -> dict[str, Document]:
    """All of them, by kind."""
    read = [one for path in FOLDER.glob("*.yaml") for one in yaml.safe_load_all(path.read_text())]
    found = {one["kind"]: one for one in read}
    assert len(found) == len(read) == 6
    return found


ALL = documents()
POD = ALL["Deployment"]["spec"]["template"]["spec"]
SERVER = POD["containers"][0]
OLLAMA = POD["initContainers"][0]


def server(document: Document) -> Document:
    container: Document = document["spec"]["template"]["spec"]["containers"][0]
    return container


BROKEN: list[tuple[str, Break, str]] = [
    ("Deployment", lambda d: d["spec"].update(replica=2), "replica"),
    ("Deployment", lambda d: d["spec"].pop("selector"), "selector"),
    ("Deployment", lambda d: d.update(apiVersion="extensions/v1beta1"), "extensions"),
    ("Deployment", lambda d: server(d).pop("name"), "name"),
    ("Deployment", lambda d: server(d)["ports"][0].update(containerPort="8000"), "8000"),
    ("Deployment", lambda d: server(d)["readinessProbe"].update(interval=5), "interval"),
    ("Deployment", lambda d: server(d)["lifecycle"]["preStop"].update(sleep=10), "10"),
    ("Deployment", lambda d: server(d)["env"][0].update(value=1), "1"),
    ("Service", lambda d: d["spec"]["ports"][0].pop("port"), "port"),
    ("PersistentVolumeClaim", lambda d: d["spec"].update(accessModes="ReadWriteMany"), "array"),
    ("Job", lambda d: d["spec"].update(retries=3), "retries"),
    ("Job", lambda d: d["spec"].pop("template"), "template"),
    ("NetworkPolicy", lambda d: d["spec"].pop("podSelector"), "podSelector"),
    ("NetworkPolicy", lambda d: d["spec"].update(policyType=["Ingress"]), "policyType"),
    ("NetworkPolicy", lambda d: d["spec"]["ingress"][0].update(source=[]), "source"),
    ("ScaledObject", lambda d: d["spec"].pop("scaleTargetRef"), "scaleTargetRef"),
    ("ScaledObject", lambda d: d["spec"].update(maxReplicas=4), "maxReplicas"),
    ("ScaledObject", lambda d: d["spec"]["triggers"][0].pop("type"), "type"),
    ("ScaledObject", lambda d: d["spec"].update(minReplicaCount="one"), "minReplicaCount"),
]


@pytest.fixture(scope="module")
def told() -> list[list[str]]:
    """All at once: first ours, then each broken copy."""
    asked = list(ALL.values())
    for kind, damage, _ in BROKEN:
        damage(worse := copy.deepcopy(ALL[kind]))
        asked.append(worse)
    done = subprocess.run(
        [environment.linters(), Path(__file__).with_name("with_schemas.py")],
        input=json.dumps({"versions": [OLDEST, NEWEST], "documents": asked}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    answers: list[list[str]] = json.loads(done.stdout)
    return answers


def test_ours_are_valid(told: list[list[str]]) -> None:
    assert told[: len(ALL)] == [[]] * len(ALL)


@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_a_broken_one_is_refused(told: list[list[str]], number: int) -> None:
    complaints = told[len(ALL) + number]
    assert any(BROKEN[number][2] in one for one in complaints), complaints


def test_they_name_each_other() -> None:
    labels = ALL["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert ALL["Service"]["spec"]["selector"] == labels
    assert ALL["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert ALL["Service"]["spec"]["ports"][0]["targetPort"] == SERVER["ports"][0]["name"]
    assert ALL["ScaledObject"]["spec"]["scaleTargetRef"]["name"] == "qwen3-vl"
    assert ALL["Deployment"]["metadata"]["name"] == "qwen3-vl"
    claim = ALL["PersistentVolumeClaim"]["metadata"]["name"]
    for pod in (POD, ALL["Job"]["spec"]["template"]["spec"]):
        claims = [one.get("persistentVolumeClaim") for one in pod["volumes"]]
        assert {"claimName": claim} in claims
        volumes = {one["name"] for one in pod["volumes"]}
        containers = pod["containers"] + pod.get("initContainers", [])
        mounted = {mount["name"] for one in containers for mount in one["volumeMounts"]}
        assert mounted == volumes


def variables(container: Document) -> dict[str, str]:
    return {one["name"]: one.get("value", KEY) for one in container["env"]}


def test_daemon_server_and_download_agree() -> None:
    ollama, asked = variables(OLLAMA), variables(SERVER)
    pull = ALL["Job"]["spec"]["template"]["spec"]["containers"][0]
    assert ollama["OLLAMA_NUM_PARALLEL"] == asked["NUM_PARALLEL"]
    assert ollama["OLLAMA_KV_CACHE_TYPE"] == asked["KV_CACHE_TYPE"]
    assert asked["OLLAMA_HOST"].endswith(ollama["OLLAMA_HOST"])
    assert variables(pull)["OLLAMA_MODELS"] == ollama["OLLAMA_MODELS"]
    assert variables(pull)["MODEL_NAME"] == asked["MODEL_NAME"]
    assert pull["image"] == OLLAMA["image"]
    assert is_new_enough(OLLAMA["image"].partition(":")[2], MIN_OLLAMA)


def test_the_network_policy_is_of_the_pod_and_lets_it_reach_nobody() -> None:
    policy = ALL["NetworkPolicy"]["spec"]
    assert policy["podSelector"] == ALL["Deployment"]["spec"]["selector"]
    assert [port["port"] for port in policy["ingress"][0]["ports"]] == [SERVER["ports"][0]["name"]]
    assert all(policy["ingress"][0]["from"]), "an empty one is everybody"
    # No egress at all holds only while the pod asks nobody outside.
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"} and policy["egress"] == []
    asked = variables(SERVER)
    assert "//127.0.0.1:" in asked["OLLAMA_HOST"]
    assert not {name for name in asked if name.startswith(("ALLOW_URL_FETCH", "OTEL_"))}
    # The download has to reach the internet, and is another pod.
    download = ALL["Job"]["spec"]["template"].get("metadata", {})
    assert "app" not in download.get("labels", {})


def test_there_is_time_to_drain_and_the_daemon_goes_last() -> None:
    before = SERVER["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = float(variables(SERVER)["DRAIN_TIMEOUT_S"])
    assert POD["terminationGracePeriodSeconds"] > before + drain + HARD_EXIT_S
    assert OLLAMA["restartPolicy"] == "Always"  # what makes it a sidecar


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Server]:
    """The server with what the manifest tells it; port and engine are this machine's."""
    asked = variables(SERVER) | {"MODEL_NAME": "fake-vlm", "HOST": "127.0.0.1"}
    del asked["PORT"]
    with FakeOllama() as fake_ollama:
        asked["OLLAMA_HOST"] = fake_ollama.url
        with Server(tmp_path / "log", **asked) as server:
            yield server


def test_probes_and_the_query_find_what_they_ask_for(running: Server) -> None:
    with httpx.Client(base_url=running.url, trust_env=False) as client:
        for probe in ("livenessProbe", "readinessProbe"):
            assert client.get(SERVER[probe]["httpGet"]["path"]).status_code == 200
            assert SERVER[probe]["httpGet"]["port"] == SERVER["ports"][0]["name"]
        picture = {"image": encoded(scene(160, 120))}
        assert client.post("/v1/describe", files=picture).status_code == 401
        keyed = {"Authorization": f"Bearer {KEY}"}
        assert client.post("/v1/describe", files=picture, headers=keyed).status_code == 200
        scraped = ALL["Deployment"]["spec"]["template"]["metadata"]["annotations"]
        counts = client.get(scraped["prometheus.io/path"])
        assert counts.status_code == 200
        query = ALL["ScaledObject"]["spec"]["triggers"][0]["metadata"]["query"]
        asked = [word.strip("() ") for word in query.replace("sum", "").split("+")]
        assert asked == ["vlm_queue_depth", "vlm_in_flight"]
        assert all(f"\n{name} 0.0\n" in counts.text for name in asked)


def test_the_download(tmp_path: Path) -> None:
    """The Job's command with an `ollama` that is up after a second and notes what it pulls."""
    machine = Machine(tmp_path / "disk")
    machine.command(
        "ollama",
        "case $1 in serve) sleep 1; touch up; exec sleep 60 ;; list) test -e up ;; "
        'pull) echo "$2" >pulled ;; esac',
    )
    container = ALL["Job"]["spec"]["template"]["spec"]["containers"][0]
    assert container["command"] == ["/bin/sh", "-ec"]
    command = f"set -e; {container['args'][0]}"
    assert machine.run(command, MODEL_NAME="qwen3-vl:32b")[0] == 0
    assert (machine.app / "pulled").read_text() == "qwen3-vl:32b\n"


def test_the_context_is_what_fits_an_a10() -> None:
    entry = find_entry(variables(SERVER)["MODEL_NAME"])
    assert entry is not None
    fits = plan_memory(entry, int(22.5 * GIB), cache="q8_0")
    assert int(variables(SERVER)["NUM_CTX"]) == fits.num_ctx
