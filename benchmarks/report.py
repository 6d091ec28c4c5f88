"""What a bench found, as Markdown: the generated part of docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .bars import bars
from .results import Figure, Results

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"

NAMES = {
    "ours": "lambda_durable",
    "ours_curl": "lambda_durable, by libcurl",
    "floor": "the same calls, bare boto3",
    "aws_durable": "AWS durable-execution SDK",
    "dbos_sqlite": "DBOS on SQLite",
    "restate_rr": "Restate, request/response",
}
STEP = (
    "Milliseconds, wall / CPU of the process that runs the function; what a run of one step takes is taken off. "
    "Restate's CPU is its service's alone."
)

MODES = ("all", "auto", "stepwise")
SIZES = (10, 100, 1_000, 5_000)


REPLAY = "Ours loads the journal from DynamoDB; AWS's SDK is given it in its event, whose JSON is parsed."

PLOTS = {
    "bench-steps.svg": "Milliseconds of a step, beside the peers",
    "bench-dollars.svg": "Dollars for a million runs, beside the peers",
}


def put_into(page: Path, results: Results) -> None:
    """Replace the generated part of a page. Raises ValueError where it has none."""
    text = page.read_text()
    if BEGIN not in text or END not in text:
        raise ValueError(f"{page} has no {BEGIN} and {END}")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    page.write_text(f"{head}{BEGIN}\n\n{markdown(results)}\n{END}{tail}")


def markdown(results: Results) -> str:
    about = results.kept["about"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    rounds = "–".join(map(str, dict.fromkeys(results.rounds())))
    lines = [
        f"Medians of {rounds} rounds, {about['at']}, {about['cores']} cores (load {about['load']:g} as it "
        f"ended); in brackets, the least and the most. {versions}.",
        "",
        *_bars(results),
        *(f"![{what}](images/{name})\n" for name, what in PLOTS.items()),
        *_fixed(results),
        *_steps(results),
        *_per_size(
            results, "replay", "An invocation that replays n finished steps, and does one more", "cpu"
        ),
        *_per_size(results, "branches", "Branches side by side, all of them", "wall"),
        *_throughput(results),
        *_latency(results),
        *_cold(results),
        *_packages(results),
        *_dollars(results),
    ]
    return "\n".join(lines)


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]


def _bars(results: Results) -> list[str]:
    rows = []
    for bar in bars(results):
        if bar.found is not None:
            sign = "at least" if bar.least else "at most"
            found, wanted = (f"{number:.3g} {bar.unit}" for number in (bar.found, bar.bar))
            rows.append([bar.what, found, f"{sign} {wanted}", "ok" if bar.holds else "**missed**"])
    return ["### The bars", "", *table(["what", "found", "bar", ""], rows)] if rows else []


def _fixed(results: Results) -> list[str]:
    """What a run costs that has next to nothing to do."""
    rows = []
    for contender, label in (
        ("ours", "all 1"),
        ("floor", "all 1"),
        ("aws_durable", "1"),
        ("dbos_sqlite", "1"),
        ("restate_rr", "1"),
    ):
        found = [results.figure("steps", contender, label, name) for name in ("wall", "cpu")]
        if any(found):
            rows.append([NAMES[contender], *map(_figure, found)])
    told = (
        "Of ours, two invocations: that of its start, and that of its step. AWS's SDK waits for a thread of its own, "
        "which looks every 100 ms."
    )
    head = ["", "wall, ms", "CPU, ms"]
    return ["### A run of one step", "", told, "", *table(head, rows)] if rows else []


def _steps(results: Results) -> Iterator[str]:
    """Milliseconds of a step, wall and CPU, by how many there are."""
    for latency in (0, 5):
        rows = []
        for contender, labels in _contenders(latency):
            for label in labels:
                cells = []
                for size in SIZES:
                    found = [
                        results.per_step(contender, label, size, name, latency) for name in ("wall", "cpu")
                    ]
                    cells.append(" / ".join(map(_milliseconds, found)) if found[0] is not None else "")
                if any(cells):
                    mode = label.partition(" ")[0] if "{}" in label and label != "{}" else ""
                    rows.append([f"{NAMES[contender]}{f', `{mode}`' if mode else ''}", *cells])
        if rows:
            yield from (f"### A step, each call answered after {latency} ms", "")
            yield from (STEP, "")
            yield from table(["", *(f"{size:,} steps" for size in SIZES)], rows)


def _contenders(latency: int) -> Iterator[tuple[str, list[str]]]:
    yield "ours", [f"{mode} {{}}" for mode in MODES]
    if latency == 0:
        yield "ours_curl", ["all {}"]
    yield "floor", ["all {}", "stepwise {}"]
    yield "aws_durable", ["{}"]
    if latency == 0:
        yield "dbos_sqlite", ["{}"]
        yield "restate_rr", ["{}"]


def _per_size(results: Results, row: str, title: str, name: str) -> list[str]:
    labels = [str(size) for size in (10, 100, 1_000, 10_000)]
    rows = []
    for contender, which in (("ours", ""), ("ours", "in memory "), ("aws_durable", "")):
        cells = [_figure(results.figure(row, contender, which + label, name)) for label in labels]
        if any(cells):
            rows.append([f"{NAMES[contender]}{', the engine alone' if which else ''}", *cells])
    kind = "CPU" if name == "cpu" else "wall"
    head = ["", *(f"{int(label):,}" for label in labels)]
    told = f"Milliseconds, {kind}. {REPLAY if row == 'replay' else ''}".strip()
    return [f"### {title}", "", told, "", *table(head, rows)] if rows else []


def _throughput(results: Results) -> list[str]:
    rows = []
    for contender in ("ours", "ours_curl", "aws_durable", "dbos_sqlite", "restate_rr"):
        found = [
            results.figure("throughput", contender, clients, "runs_per_second") for clients in (1, 8, 32)
        ]
        if any(found):
            name = "AWS's local runner" if contender == "aws_durable" else NAMES[contender]
            rows.append([name, *map(_figure, found)])
    head = ["", "1 client", "8 clients", "32 clients"]
    return ["### Runs of five steps a second", "", *table(head, rows)] if rows else []


def _latency(results: Results) -> list[str]:
    rows = []
    for label, name in (
        ("bare", "bus, rule and queue alone"),
        ("all", "lambda_durable, `all`"),
        ("stepwise", "lambda_durable, `stepwise`"),
    ):
        found = [
            results.figure("latency", "ministack", label, f"{what}_p{cut}")
            for what in ("first", "between")
            for cut in (50, 95, 99)
        ]
        if any(found):
            rows.append([name, *map(_figure, found)])
    head = [
        "",
        *(f"{what}, p{cut}" for what in ("to the first step", "step to step") for cut in (50, 95, 99)),
    ]
    told = (
        "Milliseconds, on ministack, which keeps a process busy with each call and has no network: what it takes by "
        "itself is in the first line. Runs of five steps, one after the other."
    )
    return (
        ["### From an event to its first step, and from step to step", "", told, "", *table(head, rows)]
        if rows
        else []
    )


def _cold(results: Results) -> list[str]:
    rows = []
    for script in ("ours", "aws_durable", "floor"):
        found = [
            *(results.figure("cold", "cold", script, name) for name in ("wall", "cpu", "megabytes")),
            *(results.figure("cold", "cold", f"{script} emulated", name) for name in ("wall", "megabytes")),
        ]
        if any(found):
            name = "boto3 alone, two calls" if script == "floor" else NAMES[script]
            rows.append([name, *map(_figure, found)])
    head = ["", "wall, ms", "CPU, ms", "peak memory, MB", "emulated: wall, ms", "emulated: peak memory, MB"]
    told = (
        "From the first import on; and under AWS's runtime interface emulator, from the event to the answer, with the "
        "start of the interpreter and Lambda's own Python client."
    )
    return (
        ["### A cold start: import, clients, a first invocation", "", told, "", *table(head, rows)]
        if rows
        else []
    )


def _packages(results: Results) -> list[str]:
    rows = [
        [
            NAMES[name].partition(",")[0],
            *(f"{each[key]:.1f}" for key in ("zipped", "unpacked", "without_boto3")),
        ]
        for name, each in results.kept["packages"].items()
    ]
    head = ["", "zipped, MB", "unpacked, MB", "zipped, without what Lambda's Python has, MB"]
    return ["### What a Lambda carries", "", *table(head, rows)] if rows else []


def _dollars(results: Results) -> list[str]:
    rows = [
        [
            each["work"],
            str(each["steps"]),
            *(f"${each['ours'][mode]:,.2f}" for mode in MODES),
            f"${each['aws_durable']:,.2f}",
            f"${each['step_functions']:,.2f}",
        ]
        for each in sorted(results.kept["dollars"], key=lambda each: (each["work"], each["steps"]))
    ]
    head = [
        "work",
        "steps",
        *(f"`{mode}`" for mode in MODES),
        "AWS durable functions",
        "Step Functions Standard",
    ]
    told = (
        "All included: the event, ingress, headers, indexes, reads, messages, Lambda's requests and its time (50 ms a "
        "step, 20 ms an invocation, 256 MB, arm64). Counted in runs; the others by their published formulas, with the "
        "same event. Event and results have 1 KB each, where a line says no other size; those of the page on cost "
        "have 900 bytes."
    )
    return ["### A million runs, in dollars", "", told, "", *table(head, rows)] if rows else []


def _milliseconds(figure: Figure | None) -> str:
    return f"{figure.median:.2f}" if figure is not None else "–"


def _figure(figure: Figure | None) -> str:
    if figure is None:
        return ""
    return f"{figure.median:,.3g} ({figure.least:,.3g}–{figure.most:,.3g})"
