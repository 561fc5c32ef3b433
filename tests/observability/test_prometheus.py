"""deploy/: a real Prometheus scrapes, the dashboard's queries find data, the alerts are tested."""

import json
import math
import re
import shutil
import time
from pathlib import Path
from typing import Any

import httpx

from tests.inference_server import REPO, Server
from tests.observability.conftest import KEY
from tests.observability.prometheus import RULES, promtool, running
from tests.observability.traffic import mixed
from tests.polling import HANG_S

DASHBOARD = json.loads((REPO / "deploy" / "grafana" / "dashboard.json").read_text())
PANELS: list[dict[str, Any]] = [p for p in DASHBOARD["panels"] if p["type"] != "row"]
QUERIES = [(p["title"], one["expr"]) for p in PANELS for one in p["targets"]]
WIDTH = 24  # columns of Grafana's grid


def placed(folder: Path, server: Server) -> Path:
    """deploy/prometheus, with its key beside it, for this server; scraping faster."""
    target = folder / "prometheus"
    shutil.copytree(RULES, target)
    (target / "vlm_api_key").write_text(f"{KEY}\n")
    file = target / "prometheus.yml"
    text = file.read_text()
    assert "127.0.0.1:8000" in text and "15s" in text
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}").replace("15s", "1s")
    file.write_text(text)
    return target


def chosen(expression: str) -> str:
    """A query as Grafana sends it where nothing is narrowed down."""
    values = {"instance": ".*", "model": ".*", "task": ".*", "__rate_interval": "60s"}
    filled = re.sub(r"\$(\w+)", lambda name: values[name[1]], expression)
    assert "$" not in filled
    return filled


def test_the_configuration_is_valid(tmp_path: Path, server: Server) -> None:
    folder = placed(tmp_path, server)
    assert "13 rules found" in promtool("check", "config", "prometheus.yml", folder=folder)
    assert "SUCCESS" in promtool("check", "rules", "--lint-fatal", "alerts.yml")


def test_a_scrape_is_as_prometheus_wants_it(client: httpx.Client) -> None:
    promtool("check", "metrics", stdin=client.get("/metrics").text)


def test_each_alert_fires_in_its_unit_test() -> None:
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")
    tested = set(re.findall(r'ALERTS{alertname="(\w+)"', (RULES / "alerts_test.yml").read_text()))
    assert tested == set(re.findall(r"alert: (\w+)", (RULES / "alerts.yml").read_text()))


def test_the_whole_of_it_on_a_running_server(
    tmp_path: Path, server: Server, client: httpx.Client
) -> None:
    mixed(client)  # a rate needs series that were there before
    with running(placed(tmp_path, server)) as prometheus:
        prometheus.wait_for('up{job="vlm"} == 1')
        for _ in range(3):
            mixed(client)
            time.sleep(1.1)
        alerts_are_explained(prometheus.get("rules"))
        finds: dict[str, list[float]] = {}
        deadline = time.monotonic() + HANG_S
        while True:
            mixed(client)  # so that a rate is not over before it is asked for
            finds = {query: prometheus.values(chosen(query)) for _, query in QUERIES}
            empty = [query for query in finds if not any(map(math.isfinite, finds[query]))]
            if not empty:
                break
            assert time.monotonic() < deadline, empty
            time.sleep(0.5)
        variables = [one for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
        for one in variables:
            metric, label = re.fullmatch(r"label_values\((.*), (\w+)\)", one["definition"]).groups()  # type: ignore[union-attr]
            told = prometheus.get(f"label/{label}/values", **{"match[]": chosen(metric)})
            assert told, one["name"]
        print(f"{len(finds)} queries of {len(PANELS)} panels found data")


def alerts_are_explained(rules: Any) -> None:
    """Each is loaded and evaluates; says what it is about, and what to do."""
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    assert len(alerts) == 13
    for alert in alerts:
        assert alert["health"] in ("ok", "unknown"), alert
        told = alert["annotations"]
        assert "$labels.instance" in told["summary"], alert["name"]
        assert len(told["description"]) > 80, alert["name"]
        assert alert["labels"]["severity"] in ("critical", "warning")
        for setting in re.findall(r"\b[A-Z][A-Z]+_[A-Z_]+\b", told["description"]):
            assert setting in (REPO / "docs" / "QUICK_REFERENCE.md").read_text(), setting


def test_the_dashboard_is_laid_out() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= WIDTH
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len(taken) % WIDTH == 0, "a gap"
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    titles = [panel["title"] for panel in PANELS]
    for panel in PANELS:
        assert panel["description"] and panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
    assert "Not answered, by code" in titles  # which an alert names
    names = [one["name"] for one in DASHBOARD["templating"]["list"]]
    assert names == ["datasource", "instance", "model", "task"]


def test_the_dashboard_shows_every_metric(client: httpx.Client) -> None:
    lines = client.get("/metrics").text.splitlines()
    told = {line.split()[2] for line in lines if line.startswith("# TYPE vlm_")}
    shown = {name for _, query in QUERIES for name in re.findall(r"vlm_\w+", query)}
    assert told <= {name.removesuffix("_bucket") for name in shown}
