"""`lambda-durable dev`, and what `send`, `runs`, `show`, `signal` and `callback` do with what it runs: a whole app on
this machine, in real time."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.loopback import answering

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-c", "from lambda_durable.cli import main; main()"]

APP = """
from lambda_durable import Context, Durable, Retry, cron, on_event

app = Durable("little")
handler = app.handler

def greet(name: str) -> str:
    print("greeting")
    return f"hello {name}"

def refuse() -> None:
    raise ValueError("not today")

@app.function("greet", on_event("friend/came"), labels=lambda event: [event.data["name"]])
def hello(ctx: Context[dict]) -> str:
    greeting = ctx.step.run("greet", greet, ctx.event.data["name"])
    ctx.step.sleep("breathe", ctx.event.data.get("pause", "1s"))
    return greeting

@app.function("refuse", on_event("foe/came"), retry=Retry.never())
def no(ctx: Context[dict]) -> None:
    ctx.step.run("refuse", refuse)

@app.function("await", on_event("nobody/came"))
def wait(ctx: Context[dict]) -> None:
    ctx.step.wait_for_event("friend", ["friend/wrote", "friend/called"], timeout="1d", match="data.name")
    ctx.step.invoke("greet", hello, ctx.event.data)

@app.function("stumble", on_event("stone/came"))
def stumble(ctx: Context[dict]) -> None:
    raise ValueError("ouch")

@app.function("daily", cron("0 9 * * *"))
def daily(ctx: Context) -> None: ...
"""

SLEEPER = """
from datetime import datetime
from lambda_durable import Context, Durable, on_event

app = Durable("little")
handler = app.handler

def look(hand: str) -> str:
    breakpoint()
    return hand + " " + datetime.now().isoformat()

@app.function("sleeper", on_event("night/came"))
def sleeper(ctx: Context[dict]) -> str:
    ctx.step.sleep("nap", "10m")
    ctx.step.sleep("night", "30d")
    return ctx.step.run("look", look, "it is")
"""


class Dev:
    """A running `lambda-durable dev`."""

    def __init__(self, folder, *options, app="little.py"):
        self.folder = folder
        self.said = folder / "said"
        self.heard = folder / "heard"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LAMBDA_")}
        environment["AWS_PROFILE"] = "work"  # as a shell has it that is set up for AWS
        with self.heard.open("w") as stdout, self.said.open("w") as stderr:
            self.process = subprocess.Popen(
                [*PROGRAM, "dev", app, *options],
                cwd=folder,
                env={**environment, "PYTHONPATH": str(ROOT)},
                stdout=stdout,
                stderr=stderr,
            )
        self.wait(lambda: "Ctrl-C" in self.heard.read_text())
        exports = re.search(r"^export (.*)$", self.heard.read_text(), re.MULTILINE)[1]
        assert "\nunset AWS_PROFILE " in self.heard.read_text()
        self.variables = dict(pair.split("=", 1) for pair in exports.split())

    def wait(self, look, seconds=60):
        deadline = time.monotonic() + seconds
        while not (found := look()):
            assert self.process.poll() is None, self.said.read_text()
            assert time.monotonic() < deadline, self.said.read_text()
            time.sleep(0.1)
        return found

    def command(self, *arguments):
        return subprocess.run(
            [*PROGRAM, *arguments],
            cwd=self.folder,
            env={**os.environ, **self.variables, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def json(self, *arguments):
        return json.loads(self.command(*arguments, "--json").stdout)

    def send(self, name, data):
        (sent,) = self.json("send", "--name", name, "--data", json.dumps(data))
        return sent["id"]

    def first_run(self, function, **filters):
        options = [part for name, value in filters.items() for part in (f"--{name}", value)]
        return self.wait(lambda: self.json("runs", function, *options))[0]["run_id"]

    def save(self, text):
        (self.folder / "little.py").write_text(text)

    def stop(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.process.wait(30)


@pytest.fixture
def start(tmp_path):
    started = []

    def start(*options, app=APP):
        (tmp_path / "little.py").write_text(app)
        started.append(Dev(tmp_path, *options))
        return started[-1]

    yield start
    for dev in started:
        if dev.process.poll() is None:
            dev.stop()


def test_an_event_that_is_sent_becomes_a_finished_run(start):
    dev = start()
    event = dev.send("friend/came", {"name": "Ada"})
    run_id = dev.first_run("greet")
    watched = dev.command("show", run_id, "--watch")
    shown = dev.json("show", run_id)

    assert watched.returncode == 0, watched.stderr
    assert "greet" in watched.stdout
    assert '"hello Ada"' in watched.stdout
    assert "slept 1 s" in watched.stdout
    assert shown["output"] == "hello Ada"
    assert shown["event"]["id"] == event
    assert list(shown["steps"]) == ["greet", "breathe"]
    assert [run["run_id"] for run in dev.json("runs", "greet", "--label", "Ada")] == [run_id]
    assert dev.json("runs", "greet", "--label", "Grace") == []
    assert dev.json("runs", "greet", "--until", "1h") == []
    assert [run["run_id"] for run in dev.json("runs", "--app", "little.py")] == [run_id]
    assert re.search(
        rf"greet .*{run_id} .*completed after .*Ada", dev.command("runs", "--app", "little.py").stdout
    )
    assert "greeting" not in dev.heard.read_text()


def test_what_a_run_waits_for_and_why_it_failed_is_shown(start):
    dev = start()
    dev.send("friend/came", {"name": "Ada", "pause": "1h"})
    dev.send("foe/came", {})
    asleep, failed = dev.first_run("greet"), dev.first_run("refuse", status="failed")
    dev.wait(lambda: "breathe" in dev.json("show", asleep)["steps"])

    waiting = dev.command("show", asleep)
    assert waiting.returncode == 0
    assert re.search(r"Waits for\n  breathe  in (1 h|59 min)", waiting.stdout)

    dev.send("nobody/came", {"name": "Ada", "pause": "1h"})
    alone = dev.first_run("await")
    dev.wait(lambda: "friend" in dev.json("show", alone)["steps"])
    shown = dev.command("show", alone).stdout
    assert re.search(
        r"\n  friend  event friend/wrote or friend/called with \"Ada\", until 20\d\d-[-0-9 :]+\n", shown
    )
    dev.send("friend/called", {"name": "Ada"})
    dev.wait(lambda: "greet" in dev.json("show", alone)["steps"])
    assert re.search(r"Waits for\n  greet  run [0-9A-Z]{26}\n", dev.command("show", alone).stdout)

    dev.send("stone/came", {})
    stumbled = dev.first_run("stumble")
    dev.wait(lambda: dev.json("show", stumbled)["retrying"])
    shown = dev.command("show", stumbled).stdout
    assert re.search(
        r"\n  \(handler\)  its next attempt, at .*; attempt \d failed: ValueError: ouch\n", shown
    )

    broken = dev.command("show", failed, "--watch")
    assert broken.returncode == 1
    assert "ValueError (step refuse): not today" in broken.stdout
    assert re.search(r"raised at .*little.py:\d+, in refuse", broken.stdout)


PAPERS = """
from pydantic import BaseModel

from lambda_durable import Callback, CallbackError, Context, Durable, on_event

app = Durable("papers")
handler = app.handler

class Answer(BaseModel):
    yes: bool

def mail(callback: Callback) -> None:
    print(callback.token)

@app.function("ask", on_event("paper/came"))
def ask(ctx: Context[dict]) -> list:
    signal = ctx.step.wait_for_signal("call", "bell", timeout="1d")
    try:
        answer = ctx.step.wait_for_callback("sign", mail, timeout="1d", heartbeat="1h", model=Answer).yes
    except CallbackError as error:
        answer = error.message
    return [signal.data, answer]
"""


def test_callbacks_and_signals_are_answered_from_the_command_line(start):
    dev = start(app=PAPERS)

    def steps_of(run_id, there):
        """Once one of them is there."""
        return dev.wait(lambda: (steps := dev.json("show", run_id)["steps"]).get(there) and steps)

    for answer in ("complete", "fail"):
        dev.send("paper/came", {})
        run_id = dev.first_run("ask", status="running")
        steps_of(run_id, "call")
        assert dev.json("signal", "bell", "--data", '{"loud": true}') == {"sent": True}
        unheard = dev.command("signal", "bell")
        assert (unheard.returncode, unheard.stdout) == (1, "")
        assert unheard.stderr == "lambda-durable signal: nobody waits for signal 'bell'\n"

        token = steps_of(run_id, "sign/submit")["sign"]["waiting_for"]["token"]
        assert f"sign  callback {token}, until 20" in dev.command("show", run_id).stdout
        assert dev.command("callback", "heartbeat", token).stdout == "alive\n"
        content = ["--data", '{"yes": true}'] if answer == "complete" else ["not mine"]
        told = dev.command("callback", answer, token, *content, "--app", "little.py")
        assert (told.returncode, told.stdout, told.stderr) == (0, f"{answer.rstrip('e')}ed\n", "")
        assert dev.command("show", run_id, "--watch").returncode == 0
        expected = True if answer == "complete" else "not mine"
        assert dev.json("show", run_id)["output"] == [{"loud": True}, expected]

        late = dev.command("callback", answer, token, *content)
        assert (late.returncode, late.stdout) == (1, "")
        assert "settled already" in late.stderr

    forged = dev.command("callback", "complete", "cb1-x", "--json")
    assert (forged.returncode, forged.stdout) == (1, "")
    assert forged.stderr == (
        "lambda-durable callback complete: this is no callback token of this app: it is damaged\n"
    )
    for wrong in (["callback", "complete", token, "--data", "{"], ["signal", "bell", "--data", "{"]):
        said = dev.command(*wrong)
        assert (said.returncode, "--data is no JSON" in said.stderr) == (2, True)
    assert dev.command("callback", "complete").returncode == 2
    assert dev.command("callback", "fail", token).returncode == 2


def test_saved_code_is_what_runs_next_and_broken_code_is_waited_out(start):
    dev = start()
    dev.save(APP.replace("hello {name}", "bonjour {name}"))
    dev.wait(
        lambda: (
            dev.said.read_text().count("app little: greet, refuse, await, stumble, daily; 1 schedules") == 2
        )
    )
    dev.send("friend/came", {"name": "Ada"})
    assert dev.json("show", dev.first_run("greet", status="completed"))["output"] == "bonjour Ada"

    dev.save(APP + "\n(")
    dev.wait(lambda: "can't be loaded; waiting for a change" in dev.said.read_text())
    assert "little.py, line" in dev.said.read_text()
    dev.send("friend/came", {"name": "Grace"})
    dev.save(APP)
    run_id = dev.first_run("greet", status="completed", label="Grace")
    assert dev.json("show", run_id)["output"] == "hello Grace"

    assert {run["function_id"] for run in dev.json("runs")} == {"greet"}  # of dev's app, unless one is named
    slip = dev.command("cancel", "--function", "gret")
    assert (slip.returncode, "there is no function 'gret'" in slip.stderr) == (2, True)


def test_an_event_that_nobody_wants_is_told_of(start):
    dev = start()
    event = dev.send("freind/came", {"name": "Ada"})

    dev.wait(lambda: f"event 'freind/came' ({event!r}) starts no function" in dev.said.read_text())


def test_the_doctor_has_nothing_to_find_on_it(start):
    assert start().json("doctor") == []


def test_its_state_is_there_again_the_next_time(start, tmp_path):
    dev = start("--state", str(tmp_path / "state"))
    dev.send("friend/came", {"name": "Ada"})
    run_id = dev.first_run("greet", status="completed")
    assert dev.stop() == 0

    assert start("--state", str(tmp_path / "state")).json("show", run_id)["output"] == "hello Ada"


def test_sleeps_are_skipped_and_stay_so(start, tmp_path):
    dev = start("--state", str(tmp_path / "state"), app=SLEEPER)
    nothing = dev.command("skip")
    assert (nothing.returncode, nothing.stderr) == (1, "lambda-durable skip: nothing waits for a time\n")

    began = datetime.now()
    dev.send("night/came", {})
    run_id = dev.first_run("sleeper")
    dev.wait(lambda: "nap" in dev.json("show", run_id)["steps"])
    assert 500 < dev.json("skip")["skipped_seconds"] <= 601
    dev.wait(lambda: "night" in dev.json("show", run_id)["steps"])
    skipped = dev.command("skip").stdout  # the less, the longer it took to be asked for
    assert skipped.startswith(("skipped 29 days 23 h: it is ", "skipped 30 days: it is "))
    dev.first_run("sleeper", status="completed")
    woke = datetime.fromisoformat(dev.json("show", run_id)["output"].removeprefix("it is "))
    assert timedelta(days=30, minutes=10) <= woke - began < timedelta(days=30, minutes=15)
    assert "passed over breakpoint() at " in dev.said.read_text()
    dev.stop()

    dev = start("--state", str(tmp_path / "state"), app=SLEEPER)
    dev.send("night/came", {})
    begun = dev.wait(lambda: dev.json("runs", "sleeper", "--status", "running"))[0]["created_at"]
    assert datetime.fromisoformat(begun).replace(tzinfo=None) > began + timedelta(days=30)


def test_time_is_skipped_on_its_cloud_alone(monkeypatch):
    monkeypatch.setenv("LAMBDA_DURABLE_TABLE", "lambda-durable")
    done = subprocess.run([*PROGRAM, "skip"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "no time can be skipped but dev's own" in done.stderr


def test_a_debugger_opens_in_the_terminal(tmp_path):
    (tmp_path / "little.py").write_text(SLEEPER.replace('"10m"', '"1s"').replace('"30d"', '"1s"'))
    terminal, theirs = pty.openpty()
    shown = ""

    def until(text, seconds=60):
        nonlocal shown
        deadline = time.monotonic() + seconds
        while text not in shown:
            assert time.monotonic() < deadline, shown
            if select.select([terminal], [], [], 0.2)[0]:
                shown += os.read(terminal, 4096).decode()

    dev = subprocess.Popen(
        [sys.executable, "-m", "lambda_durable", "dev", "little.py", "--debug"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    try:
        until("Ctrl-C")
        exports = re.search(r"^export (.*?)\r?$", shown, re.MULTILINE)[1]
        beside = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            **dict(pair.split("=", 1) for pair in exports.split()),
        }
        subprocess.run([*PROGRAM, "send", "--name", "night/came"], env=beside, check=True, timeout=60)
        until("(Pdb) ")
        os.write(terminal, b"hand = 'my watch says'\nc\n")

        def ended():
            found = [*PROGRAM, "runs", "sleeper", "--status", "completed", "--json"]
            return json.loads(subprocess.check_output(found, env=beside, timeout=60))

        deadline = time.monotonic() + 60
        while not (runs := ended()):
            assert time.monotonic() < deadline, shown
        show = [*PROGRAM, "show", runs[0]["run_id"], "--json"]
        assert json.loads(subprocess.check_output(show, env=beside, timeout=60))["output"].startswith(
            "my watch says 20"
        )
    finally:
        dev.send_signal(signal.SIGINT)
        assert dev.wait(30) == 0
        os.close(terminal)
        os.close(theirs)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=["Ctrl-C", "SIGTERM", "closed terminal"]
)
def test_nothing_of_it_goes_on_when_it_is_stopped(start, number):
    dev = start()
    dev.send("friend/came", {"name": "Ada"})
    dev.first_run("greet")
    others = children(dev)

    assert dev.stop(number) == 0
    assert len(others) >= 2  # the cloud, and a worker
    assert alive(others) == []


def test_its_cloud_ends_with_it_however_it_was_ended(start):
    dev = start()
    dev.send("friend/came", {"name": "Ada"})
    dev.first_run("greet")
    others = children(dev)

    assert dev.stop(signal.SIGKILL) == -signal.SIGKILL
    deadline = time.monotonic() + 30
    while alive(others):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def children(dev):
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(dev.process.pid)], capture_output=True, text=True, check=True
    )
    return listed.stdout.split()


def alive(pids):
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_another_executor_gets_every_invocation(start):
    events = []

    class Lambda(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            events.append((self.path, json.loads(body)))
            failed = b'{"errorType": "ValueError", "errorMessage": "no"}'
            answer = failed if len(events) == 1 else b'{"batchItemFailures": []}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_): ...

    with answering(ThreadingHTTPServer(("127.0.0.1", 0), Lambda)) as url:
        dev = start("--executor", url)
        dev.send("friend/came", {"name": "Ada"})
        dev.wait(lambda: len(events) == 2)

    paths, (first, again) = {path for path, _ in events}, (event["Records"][0] for _, event in events)
    assert paths == {"/2015-03-31/functions/Worker/invocations"}
    assert first["messageId"] == again["messageId"]
    assert json.loads(first["body"])["detail-type"] == "friend/came"
    assert again["attributes"]["ApproximateReceiveCount"] == "2"
    assert "the handler raised" in dev.said.read_text()


def test_a_port_that_is_taken_and_a_state_folder_that_cannot_be_are_one_line(tmp_path):
    (tmp_path / "little.py").write_text(APP)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        taken, file = (
            subprocess.run(
                [*PROGRAM, "dev", "little.py", *options],
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            for options in (["--port", port], ["--state", "little.py"])
        )

    assert (taken.returncode, taken.stdout) == (file.returncode, file.stdout) == (1, "")
    assert f"port {port} is taken; choose another" in taken.stderr
    assert "for the state: File exists" in file.stderr
    assert taken.stderr.count("\n") == file.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dev", "nowhere.py"], "there is no file nowhere.py"),
        (["dev", "app.py", "--executor", "localhost:3001"], "--executor is a URL"),
        (["send"], "give either EVENT.json or --name NAME"),
        (["send", "--name", "a", "--data", "{"], "--data is no JSON"),
        (["runs", "f"], "LAMBDA_DURABLE_TABLE"),
        (["runs"], "say which app: --stack NAME"),
        (["runs", "f", "--since", "monday"], "--since"),
        (["show", "r"], "say which app: --stack NAME (or LAMBDA_DURABLE_STACK)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_and_status_2(tmp_path, arguments, message):
    (tmp_path / "app.py").write_text(APP)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LAMBDA_", "AWS_"))}
    done = subprocess.run(
        [*PROGRAM, *arguments],
        cwd=tmp_path,
        env={**clean, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
