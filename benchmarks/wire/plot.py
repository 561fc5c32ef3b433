"""Draws `wire.json`: python plot.py wire.json wire.svg, where matplotlib is."""

import json
import statistics
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

NAMES = {"litellm": "LiteLLM", "naive": "naive wrapper", "ours": "this server", "direct": "direct"}
COLOURS = {"litellm": "#9aa0a6", "naive": "#c58b2a", "ours": "#1f6feb", "direct": "#2da44e"}
PANELS = (
    ("first_ms", "Time to first token, 1 user (ms)"),
    ("requests_s", "Requests/s, 64 users"),
    ("tokens_s", "Streamed tokens/s, 64 users"),
    ("after_mb", "Memory after load (MB)"),
)


def main(source: Path, drawn: Path) -> None:
    """Draw the medians of `source` (JSON) as an SVG."""
    rounds = json.loads(source.read_text())["rounds"]
    pyplot.rcParams.update({"svg.hashsalt": "wire", "font.size": 9})
    figure, axes = pyplot.subplots(1, len(PANELS), figsize=(12, 2.8), layout="constrained")
    for axis, (measure, title) in zip(axes, PANELS, strict=True):
        values = [statistics.median(rounds[name][measure]) for name in NAMES]
        bars = axis.bar(list(NAMES.values()), values, color=[COLOURS[name] for name in NAMES])
        axis.bar_label(bars, [f"{v:,.3g}" if v < 100 else f"{v:,.0f}" for v in values])
        axis.set_yscale("log")
        axis.set_title(title)
        axis.tick_params(axis="x", rotation=20)
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_ylim(min(values) / 2, max(values) * 2)
    figure.savefig(drawn, metadata={"Date": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
