"""The check as a whole: from paths to findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .frames import Finding
from .handlers import Walk
from .project import Project
from .rules import RULES
from .sources import Source, UnreadableError, discover


@dataclass(frozen=True, slots=True)
class Report:
    """What was found. `notes` tell what could not be looked into; `unreadable`, which files could not be read."""

    findings: list[Finding]
    notes: list[Finding]
    unreadable: list[str]
    files: int
    handlers: int


def check(paths: Iterable[Path], *, ignore: Iterable[str] = ()) -> Report:
    """Check the handlers in files and folders, without importing anything. `ignore` are ids of rules."""
    ignored = frozenset(ignore)
    project, sources, unreadable = Project(), [], []
    for path in discover(paths):
        try:
            sources.append(project.source(path))
        except UnreadableError as error:
            unreadable.append(str(error))
    walk = Walk(project)
    handlers = sum(len(walk.walk(source)) for source in sources)
    for source in sources:
        walk.walk_the_rest(source)
    looked_at = {env.source.shown: env.source for env in walk.modules.values()}
    found = [finding for finding in walk.findings.values() if not _is_ignored(finding, looked_at, ignored)]
    found += [note for source in sources for note in _unused(source, ignored)]
    found.sort(key=lambda each: (each.path, each.line, each.column, each.rule))
    return Report(
        [each for each in found if not RULES[each.rule].note],
        [each for each in found if RULES[each.rule].note],
        unreadable,
        len(sources),
        handlers,
    )


def _is_ignored(finding: Finding, sources: dict[str, Source], ignored: frozenset[str]) -> bool:
    if finding.rule in ignored:
        return True
    ignores = sources[finding.path].ignores
    for line in {finding.line, finding.end_line}:
        if (ignore := ignores.get(line)) is not None and ignore.covers(finding.rule):
            ignore.used.add(finding.rule)
            return True
    return False


def _unused(source: Source, ignored: frozenset[str]) -> Iterator[Finding]:
    """Comments that ignore nothing, or rules that there are not."""
    for ignore in source.ignores.values():
        if unknown := sorted(ignore.rules - RULES.keys()):
            message = f"there is no rule {', '.join(unknown)}"
        elif idle := sorted(ignore.rules - ignore.used - ignored):
            message = f"nothing on this line breaks {', '.join(idle)}"
        elif not ignore.rules and not ignore.used:
            message = "nothing is found on this line"
        else:
            continue
        end = ignore.column + 1
        yield Finding(
            "unused-ignore",
            source.shown,
            ignore.line,
            end,
            ignore.line,
            end + len("# durable: ignore"),
            message,
        )
