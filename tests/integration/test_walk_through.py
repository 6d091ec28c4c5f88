"""docs/walk-through.md, played: its commands are typed, its changes made, and what it shows is what is printed."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from test_dev import ROOT, Dev

PAGE = ROOT / "docs" / "walk-through.md"
BLOCK = re.compile(r"^```(console|diff)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

TERMINAL = """
import json, os, sys
import lambda_durable.aws.world, lambda_durable.cli.commands
from lambda_durable.cli import main

for line in sys.stdin:
    typed = json.loads(line)
    if (child := os.fork()) == 0:
        os.chdir(typed["folder"])
        os.environ.update(typed["variables"])
        sys.argv = ["lambda-durable", *typed["arguments"]]
        heard = os.open(typed["heard"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(heard, 1), os.dup2(heard, 2)
        main()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Runs each command in a process of its own, which needs not import what this one has: that is most of their time."""

LOOKS = {"runs", "show", "skip"}
"""What a person does again until it shows what is expected."""

NAMED = {
    "run": r"\b[0-9A-HJKMNP-TV-Z]{26}\b",
    "event": r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{32}\b",
    "payment": r"\bpayment-[0-9a-f]{12}\b",
}
"""What is another thing each time, and the same thing all along the page."""

SPAN = r"\d[\d.]* (?:ms|s|min|h|days?)(?: \d+ (?:s|min|h))?"
DIFFERS = {
    "time": (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"),
    "span": (rf"(?<=in ){SPAN}|(?<=after ){SPAN}|(?<=skipped ){SPAN}", SPAN),
    "early": (r"(?<=attempt )1\b", "[1-4]"),
    "port": (r"(?<=127\.0\.0\.1:)\d+", r"\d+"),
    "token": (r"(?<=token=)\S+", r"\S+"),
    "home": (r"/home/ada(?=/)", r"/\S+"),
    "lines": (r"^\.\.\.\n", r"(?:.*\n)*?"),
    "rest": (r"(?<= )\.\.\.$", ".*"),
}
"""What is another thing each time: how it looks on the page, and how in a terminal."""

ANY = re.compile(
    "|".join(
        f"(?P<{name}>{found})" for name, found in (NAMED | {n: f for n, (f, _) in DIFFERS.items()}).items()
    ),
    re.MULTILINE,
)


def blocks() -> Iterator[tuple[str, str]]:
    for kind, text in BLOCK.findall(PAGE.read_text()):
        if kind == "diff":
            yield kind, text
        else:
            for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                yield kind, part


class Reader:
    """Who reads the page, and does what it says."""

    def __init__(self, folder):
        self.home = self.folder = folder
        self.terminal = subprocess.Popen(
            [sys.executable, "-u", "-c", TERMINAL],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.dev: Dev | None = None
        self.known: dict[str, str] = {}
        self.skips = False

    def change(self, diff):
        code = self.folder / "src" / "app.py"
        old, new = (
            "".join(f"{line[1:]}\n" for line in diff.splitlines() if line[0] in marks)
            for marks in (" -", " +")
        )
        assert code.read_text().count(old) == 1, old
        code.write_text(code.read_text().replace(old, new))

    def type(self, command, expected):
        for shown, own in self.known.items():
            command = command.replace(shown, own)
        program, *arguments = shlex.split(command)
        if program == "cd":
            self.folder /= arguments[0]
        elif arguments[0] == "dev":
            self.dev = Dev(self.folder, "--concurrency", "1", app=arguments[1])
            self.compare(command, expected, self.dev.heard.read_text())
        else:
            self.look(command, arguments, expected)
            if arguments[0] not in LOOKS - {"skip"}:
                self.skips = arguments[0] == "skip"

    def look(self, command, arguments, expected):
        deadline = time.monotonic() + 60
        while True:
            status, printed = self.run(arguments)
            if self.matches(expected, printed):
                assert status == int(" diverges" in printed), printed
                return
            if arguments[0] not in LOOKS or time.monotonic() > deadline:
                self.compare(command, expected, printed)
            if self.skips:
                self.run(["skip"])

    def run(self, arguments):
        heard = self.home / "heard"
        variables = self.dev.variables if self.dev else {}
        typed = {
            "folder": str(self.folder),
            "variables": variables,
            "arguments": arguments,
            "heard": str(heard),
        }
        self.terminal.stdin.write(json.dumps(typed) + "\n")
        self.terminal.stdin.flush()
        return int(self.terminal.stdout.readline()), heard.read_text()

    def compare(self, command, expected, printed):
        assert self.matches(expected, printed), f"$ {command}\n{printed}\nand the page says\n{expected}"

    def matches(self, expected, printed) -> bool:
        """Whether that is what the page shows; learns the ids that are shown for the first time."""
        learned: dict[str, str] = {}

        def pattern(found: re.Match[str]) -> str:
            kind, text = found.lastgroup, found[0]
            if kind in DIFFERS:
                return DIFFERS[kind][1]
            if text in self.known:
                return re.escape(self.known[text])
            if text in learned:
                return f"(?P={learned[text]})"
            learned[text] = f"{kind}{len(learned)}"
            return f"(?P<{learned[text]}>{NAMED[kind]})"

        written, end = "", 0
        for found in ANY.finditer(expected):
            written += re.escape(expected[end : found.start()]) + pattern(found)
            end = found.end()
        printed = re.sub(r" +$", "", printed, flags=re.MULTILINE)
        match = re.fullmatch(written + re.escape(expected[end:]), printed)
        if match is not None:
            self.known |= {text: match[name] for text, name in learned.items()}
        return match is not None


@pytest.fixture
def reader(tmp_path):
    reader = Reader(tmp_path)
    with reader.terminal:
        yield reader
    if reader.dev is not None and reader.dev.process.poll() is None:
        reader.dev.stop()


def test_the_page_is_what_a_reader_sees(reader):
    for kind, text in blocks():
        if kind == "diff":
            reader.change(text)
        else:
            command, _, expected = text.partition("\n")
            reader.type(command, expected.rstrip("\n") + "\n" if expected.strip() else "")
    assert "to ada@example.com: we have your order 1042" in reader.dev.said.read_text()
    assert "to ada@example.com by mx.example.net: how was order 1043?" in reader.dev.said.read_text()
    assert reader.dev.stop() == 0
