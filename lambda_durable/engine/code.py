"""Which code a run, or a step, was at work on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """What a function calls its version (`version=`), and the number that Lambda gave the worker's when it was
    published. Either may be empty: nobody said, and nothing was published."""

    label: str = ""
    release: str = ""

    def __str__(self) -> str:
        return f"{self.label}@{self.release}"

    @classmethod
    def parse(cls, text: str) -> Code:
        label, _, release = text.rpartition("@")
        return cls(label, release)

    def spelled(self) -> str:
        """For people: "version '2026-11' (Lambda version 7)"."""
        release = f"Lambda version {self.release}" if self.release else ""
        if not self.label:
            return release
        return f"version {self.label!r} ({release})" if release else f"version {self.label!r}"


UNKNOWN = Code()
