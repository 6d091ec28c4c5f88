"""What was measured, and what can be said of it."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .conducting import Answers


@dataclass(frozen=True)
class Figure:
    """A median of rounds, the least and the most of them."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, samples: Iterable[float]) -> Figure:
        listed = sorted(samples)
        return cls(statistics.median(listed), listed[0], listed[-1])


class Results:
    """All answers of a bench, by row, contender, latency and label."""

    def __init__(self, kept: dict[str, Any]) -> None:
        self.kept = kept

    @classmethod
    def of(
        cls,
        about: dict[str, Any],
        rows: dict[str, list[Answers]],
        *,
        dollars: list[dict[str, Any]],
        packages: dict[str, Any],
    ) -> Results:
        told = {
            row: [
                {
                    "contender": each.question.contender,
                    "label": each.question.label,
                    "latency": each.question.latency,
                    "samples": [
                        {name: round(value, 3) for name, value in one.items()} for one in each.samples
                    ],
                    **({"failed": each.failed} if each.failed else {}),
                }
                for each in answers
            ]
            for row, answers in rows.items()
        }
        return cls({"about": about, "rows": told, "dollars": dollars, "packages": packages})

    @classmethod
    def read(cls, path: Path) -> Results:
        return cls(json.loads(path.read_text()))

    def write(self, path: Path) -> None:
        """What was not measured this time is kept as it was."""
        if path.is_file():
            before = json.loads(path.read_text())
            self.kept["rows"] = {**before["rows"], **self.kept["rows"]}
            for counted in ("dollars", "packages"):
                self.kept[counted] = self.kept[counted] or before[counted]
        path.write_text(json.dumps(self.kept, indent=1) + "\n")

    def rounds(self) -> tuple[int, int]:
        """The least and the most that a figure is of."""
        counts = [
            len(each["samples"]) for row in self.kept["rows"].values() for each in row if each["samples"]
        ]
        return min(counts, default=0), max(counts, default=0)

    def samples(self, row: str, contender: str, label: object, name: str, latency: int = 0) -> list[float]:
        """One for each round; none where it was not measured."""
        for each in self.kept["rows"].get(row, []):
            if (each["contender"], each["label"], each["latency"]) == (contender, str(label), latency):
                return [sample[name] for sample in each["samples"] if name in sample]
        return []

    def figure(self, row: str, contender: str, label: object, name: str, latency: int = 0) -> Figure | None:
        samples = self.samples(row, contender, label, name, latency)
        return Figure.of(samples) if samples else None

    def per_step(self, contender: str, label: str, size: int, name: str, latency: int = 0) -> Figure | None:
        """Milliseconds of a step in a run of so many: what a run of one step takes is taken off. `label` has {} for
        the number of steps."""
        whole = self.samples("steps", contender, label.format(size), name, latency)
        one = self.samples("steps", contender, label.format(1), name, latency)
        if not whole or not one:
            return None
        return Figure.of((each - statistics.median(one)) / (size - 1) for each in whole)


def about(environment: dict[str, str], *, rounds: int) -> dict[str, Any]:
    """Of a bench: when, on what, and how busy that was with other things."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="minutes"),
        "rounds": rounds,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "versions": environment,
    }
