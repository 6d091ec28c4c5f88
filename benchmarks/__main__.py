"""`scripts/bench`: the library and its peers side by side, in one run; timings are told and never tested.

Counts, which do not depend on the machine, have tests of their own. Ctrl-C ends it early, with what was measured.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from . import artefact, own, packages
from .bars import bars
from .conducting import Answers, Conductor, ContenderError, conducting
from .dollars import dollars
from .environment import ROOT, Environment, prepared
from .report import markdown, put_into
from .results import Results, about
from .rows import ROWS

RESULTS = ROOT / "benchmarks" / "results.json"
PAGE = ROOT / "docs" / "performance.md"
WARM = 100
"""Steps of a run after which a contender is warm."""

OTHERS = ("packages", "dollars", "own", "artefact")
WHICH = (
    f"of {', '.join((*ROWS, *OTHERS))}; all unless named. 'own' is parts of the library, and 'artefact' the "
    "package of a Lambda, without peers; both are printed and not kept"
)


def main() -> None:
    logging.getLogger("lambda_durable").setLevel(logging.CRITICAL)  # what a run logs is not of interest here
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    names = [*ROWS, *OTHERS]
    parser.add_argument("rows", nargs="*", metavar="ROW", help=WHICH)
    parser.add_argument("--quick", action="store_true", help="fewer sizes and rounds: some minutes")
    parser.add_argument("--rounds", type=int, help="how often each is asked (default: 5; quick: 3)")
    parser.add_argument(
        "--without", action="append", default=[], metavar="PEER", help="leave a contender out"
    )
    parser.add_argument(
        "--keep", action="store_true", help="write benchmarks/results.json and docs/performance.md"
    )
    given = parser.parse_args()
    wanted = given.rows or names
    if unknown := [name for name in wanted if name not in names]:
        parser.error(f"there is no row {', '.join(unknown)}; those there are: {', '.join(names)}")
    rounds = given.rounds or (3 if given.quick else 5)
    if "own" in wanted:
        own.measure(rounds)
    if "artefact" in wanted:
        artefact.measure(rounds, lambda times, what: own.row(what, min(times), statistics.median(times)))
    if not {*wanted} - {"own", "artefact"}:
        return
    environment = prepared()
    results = _measured(environment, wanted, rounds, quick=given.quick, without=given.without)
    print(markdown(results))
    if given.keep:
        results.write(RESULTS)
        plots = [environment.python, "-m", "benchmarks.plots", str(RESULTS), str(PAGE.parent / "images")]
        subprocess.run(plots, cwd=ROOT, check=True)
        put_into(PAGE, Results.read(RESULTS))
    over = [bar.what for bar in bars(results) if bar.holds is False]
    measured = [bar for bar in bars(results) if bar.holds is not None]
    print(
        f"{len(over)} of {len(measured)} bars are not reached: {'; '.join(over)}"
        if over
        else f"{len(measured)} bars were measured, and all are reached"
    )


def _measured(
    environment: Environment, wanted: Sequence[str], rounds: int, *, quick: bool, without: Sequence[str]
) -> Results:
    found: dict[str, list[Answers]] = {}
    with conducting(environment) as conductor, suppress(KeyboardInterrupt):
        for name in wanted:
            if name in ROWS:
                questions = [each for each in ROWS[name].questions(quick) if each.contender not in without]
                found[name] = [Answers(question) for question in questions]
                _in_turn(conductor, name, found[name], rounds)
    carried = [name for name in packages.PACKAGES if "packages" in wanted and name not in without]
    return Results.of(
        about(environment.versions(), rounds=rounds),
        found,
        dollars=dollars() if "dollars" in wanted else [],
        packages=packages.measured(environment, carried),
    )


def _in_turn(conductor: Conductor, row: str, answers: Sequence[Answers], rounds: int) -> None:
    """Ask each question once in each round, and once before, which does not count; but for long ones: who is asked
    one has been asked short ones. What was answered stays if this is interrupted."""
    began = time.monotonic()
    for number in range(-1, rounds):
        for each in answers if number % 2 else reversed(answers):  # what drifts is not one's alone
            counts = number >= 0
            is_short = each.question.arguments.get("steps", 0) <= WARM
            if (counts or is_short) and not each.failed:
                _ask(conductor, each, counts=counts)
        sys.stderr.write(f"bench: {row}, round {number + 1} of {rounds}, {time.monotonic() - began:.0f} s\n")


def _ask(conductor: Conductor, answers: Answers, *, counts: bool) -> None:
    question = answers.question
    try:
        several = [conductor.ask(question) for _ in range(question.times if counts else 1)]
    except (ContenderError, OSError, AssertionError) as error:
        answers.failed = str(error)[-300:]
        sys.stderr.write(f"bench: {question.contender} {question.label}: {answers.failed}\n")
        return
    if counts:
        names = several[0].keys()
        answers.samples.append({name: statistics.median(each[name] for each in several) for name in names})


if __name__ == "__main__":
    main()
