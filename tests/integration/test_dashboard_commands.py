"""`lambda-durable dashboard`, and the dashboard of `lambda-durable dev`: what they serve, and when they end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from lambda_durable.dashboard.server import listen

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-c", "from lambda_durable.cli import main; main()"]

APP = """
from lambda_durable import Context, Durable, on_event

app = Durable("little")
handler = app.handler

@app.function("{id}", on_event("friend/came"))
def hello(ctx: Context[dict]) -> None: ...
"""

SETTINGS = {
    "LAMBDA_DURABLE_TABLE": "t",
    "LAMBDA_DURABLE_BUCKET": "b",
    "LAMBDA_DURABLE_QUEUE_URL": "http://127.0.0.1:9/q",
    "LAMBDA_DURABLE_BUS": "bus",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
}


def start(folder, *arguments, **settings):
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LAMBDA_"))
    }
    return subprocess.Popen(
        [*PROGRAM, *arguments],
        cwd=folder,
        env={**inherited, **settings, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def fetch(url, path):
    """What a page of this address gets of its API."""
    address, _, token = url.partition("/#token=")
    request = urllib.request.Request(address + path, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=90) as answer:
        return answer.read()


def until(look):
    deadline = time.monotonic() + 30
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def end(process, number=signal.SIGINT):
    process.send_signal(number)
    return (*process.communicate(timeout=90), process.returncode)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=str)
def test_it_serves_until_it_is_stopped(tmp_path, number):
    process = start(tmp_path, "dashboard", "--json", **SETTINGS)
    try:
        url = next(match[1] for line in process.stdout if (match := re.search(r'"url": "(.+)"', line)))
        assert b"<title>lambda_durable</title>" in fetch(url, "/")
        assert "/v1/runs" in json.loads(fetch(url, "/openapi.json"))["paths"]
    finally:
        _, said, status = end(process, number)
    assert (said, status) == ("", 0)


def test_a_browser_is_handed_the_address_in_a_file_that_only_its_user_can_read(tmp_path):
    (temporary := tmp_path / "tmp").mkdir()
    handed = tmp_path / "handed"
    browser = f"sh -c 'echo \"$0\" > {handed}.part; mv {handed}.part {handed}' %s"
    process = start(
        tmp_path, "dashboard", "--open", "--json", **SETTINGS, BROWSER=browser, TMPDIR=str(temporary)
    )
    try:
        url = next(match[1] for line in process.stdout if (match := re.search(r'"url": "(.+)"', line)))
        until(handed.exists)
        (folder,) = temporary.glob("lambda-durable-*")
        (page,) = folder.iterdir()
        assert handed.read_text().strip() == page.as_uri()  # all that other users see of it
        assert f"url={url}" in page.read_text()
        assert folder.stat().st_mode & 0o077 == 0
    finally:
        _, said, status = end(process)
    assert (said, status, list(temporary.iterdir())) == ("", 0, [])


def test_mistakes_are_one_line(tmp_path):
    _, nowhere = (process := start(tmp_path, "dashboard")).communicate(timeout=90)
    assert (process.returncode, nowhere.count("\n")) == (2, 1)
    assert "--stack NAME" in nowhere
    with listen() as taken:
        port = str(taken.getsockname()[1])
        process = start(tmp_path, "dashboard", "--port", port, **SETTINGS)
        _, said = process.communicate(timeout=90)
    assert (process.returncode, said.count("\n")) == (1, 1)
    assert f"port {port} can't be had" in said


@pytest.fixture
def dev(tmp_path):
    pytest.importorskip("ministack")
    (tmp_path / "little.py").write_text(APP.format(id="first"))
    process = start(tmp_path, "dev", "little.py")
    yield process
    if process.poll() is None:
        end(process)


def test_dev_serves_it_with_the_code_as_it_is_saved_at_one_address_and_takes_it_along(dev, tmp_path):
    url = next(match[1] for line in dev.stdout if (match := re.match(r"dashboard +(\S+)", line)))

    def functions():
        return [function["id"] for function in json.loads(fetch(url, "/v1/functions"))["functions"]]

    assert until(functions) == ["first"]
    (tmp_path / "little.py").write_text(APP.format(id="second"))
    until(lambda: functions() == ["second"])  # a page that is open stays so
    dev.kill()  # it can't say goodbye
    dev.communicate(timeout=90)

    def gone():
        try:
            return not fetch(url, "/")
        except OSError:
            return True

    until(gone)
