"""What the stays of a crowd say: how many had a slot at once, who was served, and how long each key waited."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from chaos.log import Stay


@dataclass(frozen=True)
class Guest:
    """An event, when it was sent (monotonic), and the value of its key."""

    n: int
    who: str
    sent: float


def most_at_once(stays: Iterable[Stay]) -> int:
    """How many overlap. Who leaves as another one enters is gone."""
    changes = []
    for stay in stays:
        changes.append((stay.begin, 1))
        if stay.end is not None:
            changes.append((stay.end, -1))
    most = now = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most


def most_by_key(stays: Iterable[Stay]) -> dict[str, int]:
    by_key: dict[str, list[Stay]] = defaultdict(list)
    for stay in stays:
        by_key[stay.who].append(stay)
    return {who: most_at_once(some) for who, some in by_key.items()}


def served(stays: Iterable[Stay]) -> set[int]:
    """The numbers of the events that were."""
    return {stay.n for stay in stays if stay.served}


def waits(guests: Sequence[Guest], stays: Iterable[Stay]) -> dict[str, list[float]]:
    """Seconds from when each event was sent until its first stay began, by key."""
    first: dict[int, float] = {}
    for stay in stays:
        first[stay.n] = min(stay.begin, first.get(stay.n, stay.begin))
    found: dict[str, list[float]] = defaultdict(list)
    for guest in guests:
        if guest.n in first:
            found[guest.who].append(first[guest.n] - guest.sent)
    return dict(found)


def fairness(waited: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """How the keys compare: the median wait of each, and the longest, in seconds; the greatest of them, that in the
    middle, and by how much the one is above the other."""
    medians = [median(seconds) for seconds in waited.values()]
    longest = [max(seconds) for seconds in waited.values()]
    return {
        "median wait": round(median(medians), 2),
        "greatest median of a key": round(max(medians), 2),
        "greatest over median, of medians": round(max(medians) / median(medians), 2),
        "longest wait": round(max(longest), 2),
        "longest over median, of longest": round(max(longest) / median(longest), 2),
    }


def violations(
    guests: Sequence[Guest], stays: Mapping[str, Stay], limit: int, ended: Counter[str]
) -> list[str]:
    """What is wrong, in words. `ended` counts the runs by their status."""
    found = [
        f"{most} were inside at once for key {who}, and {limit} may be"
        for who, most in most_by_key(stays.values()).items()
        if most > limit
    ]
    if not any(most == limit for most in most_by_key(stays.values()).values()):
        found.append(f"no key ever had {limit} inside: nothing is shown about the limit")
    done = served(stays.values())
    unserved = [guest.n for guest in guests if guest.n not in done]
    if unserved:
        found.append(f"{len(unserved)} were never served: events {unserved[:10]}")
    if ended != Counter(completed=len(guests)):
        found.append(f"{len(guests)} runs were to complete, and they are {dict(ended)}")
    return found
