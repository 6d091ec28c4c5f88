"""`python -m benchmarks.plots RESULTS FOLDER`: the plots of docs/performance.md, as SVG, with the peers' Python."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot

from .report import NAMES
from .results import Results

LOOKS = {"svg.fonttype": "none", "svg.hashsalt": "bench", "font.size": 9}

OURS, OTHERS = "#3f51b5", "#9fa8a3"

BARS = (
    ("ours", "all {}", "lambda_durable, all"),
    ("ours", "stepwise {}", "lambda_durable, stepwise"),
    ("floor", "all {}", NAMES["floor"]),
    ("aws_durable", "{}", NAMES["aws_durable"]),
    ("dbos_sqlite", "{}", NAMES["dbos_sqlite"]),
    ("restate_rr", "{}", NAMES["restate_rr"]),
)


def steps(results: Results, path: Path) -> None:
    """Milliseconds of one of 100 steps."""
    figure, every = pyplot.subplots(1, 2, figsize=(9, 2.6), layout="constrained", sharey=True)
    for axes, latency in zip(every, (0, 5), strict=True):
        found = [(name, results.per_step(who, label, 100, "wall", latency)) for who, label, name in BARS]
        for name, each in reversed(found):
            value = each.median if each is not None else 0.0
            bars = axes.barh([name], [value], color=OURS if name.startswith("lambda_durable") else OTHERS)
            axes.bar_label(bars, [f"{value:.1f}" if each is not None else "not over the stub"], padding=3)
        axes.set_title(f"ms a step, calls of {latency} ms")
        axes.margins(x=0.2)
        axes.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def dollars(results: Results, path: Path) -> None:
    """A million runs of five steps."""
    kept = next((row for row in results.kept["dollars"] if (row["work"], row["steps"]) == ("steps", 5)), None)
    if kept is None:
        return
    found = {
        "lambda_durable, all": kept["ours"]["all"],
        "lambda_durable, stepwise": kept["ours"]["stepwise"],
        "AWS durable functions": kept["aws_durable"],
        "Step Functions Standard": kept["step_functions"],
    }
    figure, axes = pyplot.subplots(figsize=(9, 1.8), layout="constrained")
    names = list(reversed(found))
    colours = [OURS if name.startswith("lambda_durable") else OTHERS for name in names]
    bars = axes.barh(names, [found[name] for name in names], color=colours)
    axes.bar_label(bars, [f"${found[name]:,.2f}" for name in names], padding=3)
    axes.set_title("a million runs of five steps, all included")
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def _save(figure: pyplot.Figure, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None})
    path.write_text("".join(f"{line.rstrip()}\n" for line in path.read_text().splitlines()))


if __name__ == "__main__":
    kept, folder = Results.read(Path(sys.argv[1])), Path(sys.argv[2])
    folder.mkdir(exist_ok=True)
    mpl.use("svg")
    mpl.rcParams.update(LOOKS)
    steps(kept, folder / "bench-steps.svg")
    dollars(kept, folder / "bench-dollars.svg")
