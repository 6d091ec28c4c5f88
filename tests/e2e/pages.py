"""The dashboard in a browser: `lambda-durable dev` with an app of its own, and Debian's Chromium on its pages."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import boto3
from toolbox import ROOT

T = TypeVar("T")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

WATCH = """
window.trouble = [];
addEventListener("securitypolicyviolation", (event) => trouble.push(`${event.violatedDirective}: ${event.blockedURI}`));
addEventListener("error", (event) => trouble.push(String(event.message)));
addEventListener("unhandledrejection", (event) => trouble.push(String(event.reason)));
"""
"""Notes in a page what its policy refused, and what was thrown and not caught."""

PROGRAM = [sys.executable, "-c", "from lambda_durable.cli import main; main()"]


class Dev:
    """A running `lambda-durable dev`."""

    def __init__(self, folder: Path, app: str) -> None:
        self.folder = folder
        for name in ("shop.py", "hostile.py"):
            shutil.copy(Path(__file__).with_name(name), folder)
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LAMBDA_"))
        }
        with (folder / "heard").open("w") as stdout, (folder / "said").open("w") as stderr:
            self._process = subprocess.Popen(
                [*PROGRAM, "dev", app, "--concurrency", "2"],
                cwd=folder,
                env={**inherited, "PYTHONPATH": str(ROOT)},
                stdout=stdout,
                stderr=stderr,
            )
        heard = self.until(lambda: (text := self.heard) and "Ctrl-C" in text and text)
        match = re.search(r"^dashboard +(http://127\.0\.0\.1:\d+)/#token=(\S+)$", heard, re.MULTILINE)
        assert match is not None, heard
        self.address, self.token = match[1], match[2]
        exports = re.search(r"^export (.*)$", heard, re.MULTILINE)
        assert exports is not None
        self.variables = dict(pair.split("=", 1) for pair in exports[1].split())

    @property
    def heard(self) -> str:
        return (self.folder / "heard").read_text()

    @property
    def said(self) -> str:
        return (self.folder / "said").read_text()

    def until(self, look: Callable[[], T], seconds: float = 60) -> T:
        """Wait for what `look` finds."""
        deadline = time.monotonic() + seconds
        while not (found := look()):
            assert self._process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.1)
        return found

    def command(self, *arguments: str) -> Any:
        """What a command says, as JSON."""
        done = subprocess.run(
            [*PROGRAM, *arguments, "--json"],
            cwd=self.folder,
            env={**os.environ, **self.variables, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return json.loads(done.stdout)

    def send(self, name: str, data: Any) -> str:
        (sent,) = self.command("send", "--name", name, "--data", json.dumps(data))
        return str(sent["id"])

    def run_of(self, function: str, *options: str) -> str:
        """The newest run of a function."""
        found = self.until(lambda: self.command("runs", function, *options))
        return str(found[0]["run_id"])

    def until_run(self, run_id: str, is_so: Callable[[Any], object]) -> Any:
        """The run, once it is so."""
        return self.until(lambda: (run := self.command("show", run_id)) and is_so(run) and run)

    def client(self, service: str) -> Any:
        create: Any = boto3.Session(
            aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1"
        ).client
        return create(service, endpoint_url=self.variables["AWS_ENDPOINT_URL"])

    def url(self, page: str, *ids: str) -> str:
        return "/".join([self.address, page, *(quote(id, safe="") for id in ids)])

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(30)
