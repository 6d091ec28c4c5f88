"""The bars: ratios that are to be reached, all of one bench on one machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .results import Figure, Results


@dataclass(frozen=True)
class Bar:
    """`found` is to be at most `bar`, or, with `least`, at least that. None: it was not measured."""

    what: str
    found: float | None
    bar: float
    unit: str = "×"
    least: bool = False

    @property
    def holds(self) -> bool | None:
        if self.found is None:
            return None
        return self.found >= self.bar if self.least else self.found <= self.bar


def bars(results: Results) -> Iterator[Bar]:
    for size in (100, 1_000):
        ours = results.per_step("ours", "all {}", size, "wall")
        theirs = results.per_step("aws_durable", "{}", size, "wall")
        yield Bar(f'wall a step, `"all"`, {size:,} steps, against the AWS SDK', _ratio(ours, theirs), 0.7)
    for size in (100, 1_000):
        ours = results.per_step("ours", "all {}", size, "cpu")
        bare = results.per_step("floor", "all {}", size, "cpu")
        yield Bar(
            f"CPU a step, {size:,} steps, against the same calls in bare boto3", _ratio(ours, bare), 1.15
        )
    yield Bar("an invocation, over the bare calls", _fixed(results), 2.0, "ms")
    ours, theirs = (results.figure("replay", name, 1_000, "cpu") for name in ("ours", "aws_durable"))
    yield Bar("replay of 1,000 finished steps, CPU, against the AWS SDK", _ratio(ours, theirs), 0.6)
    for mode in ("all", "auto"):
        long, short = (results.per_step("ours", f"{mode} {{}}", size, "wall") for size in (5_000, 100))
        yield Bar(f'a step of 5,000 against one of 100, `"{mode}"`', _ratio(long, short), 1.2)
    many, few = (results.figure("branches", "ours", size, "wall") for size in (1_000, 100))
    per_branch = _ratio(many, few)
    yield Bar(
        "a branch of 1,000 against one of 100", per_branch / 10 if per_branch is not None else None, 1.2
    )
    for what, name, most in (("wall", "wall", 1.0), ("peak memory", "megabytes", 1.1)):
        ours, theirs = (results.figure("cold", "cold", each, name) for each in ("ours", "aws_durable"))
        yield Bar(f"cold start, {what}, against the AWS SDK with its client", _ratio(ours, theirs), most)
    for mode, most in (("all", 0.2), ("stepwise", 0.36)):
        yield Bar(
            f"$ for a million runs of 5 steps, {mode}, against AWS durable functions",
            _dollars(results, mode),
            most,
        )
    what = "steps a second, 32 clients, {}against DBOS on SQLite"
    theirs = results.figure("throughput", "dbos_sqlite", 32, "runs_per_second")
    for contender, how in (("ours", ""), ("ours_curl", "by libcurl, ")):
        ours = results.figure("throughput", contender, 32, "runs_per_second")
        yield Bar(what.format(how), _ratio(ours, theirs), 2.0, least=True)


def _ratio(one: Figure | None, other: Figure | None) -> float | None:
    return one.median / other.median if one is not None and other is not None and other.median else None


def _fixed(results: Results) -> float | None:
    ours, bare = (results.figure("steps", name, "all 1", "wall") for name in ("ours", "floor"))
    invocations = results.figure("steps", "ours", "all 1", "invocations")
    if ours is None or bare is None or invocations is None:
        return None
    return (ours.median - bare.median) / invocations.median


def _dollars(results: Results, mode: str) -> float | None:
    for each in results.kept["dollars"]:
        if (each["steps"], each["work"]) == (5, "steps"):
            return float(each["ours"][mode] / each["aws_durable"])
    return None
