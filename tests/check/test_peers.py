"""What replayguard (PyPI, 0.2.1) looks for in handlers of AWS's own SDK, and what its tests and its list of past
mistakes hold for Python: each case has its counterpart here, written for this library."""

from __future__ import annotations

import textwrap

import pytest

from lambda_durable.check import RULES, check

HANDLER = """\
from lambda_durable import Context, Durable

app = Durable("shop")


@app.function("handler")
def handler(context: Context[dict]):
"""


@pytest.fixture
def broken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def rules(body, extra="", **modules):
        for name, text in modules.items():
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        source = (
            textwrap.dedent(extra) + HANDLER + textwrap.indent(textwrap.dedent(body).strip(), "    ") + "\n"
        )
        (tmp_path / "h.py").write_text(source)
        report = check([tmp_path / "h.py"])
        assert report.handlers == 1
        return sorted(each.rule for each in (*report.findings, *report.notes))

    rules.report = lambda: check([tmp_path / "h.py"])
    return rules


CASES = {
    # RG001: a clock, a random number, an id outside a step
    "a clock": ("import time\n", "return time.time()", ["clock"]),
    "a clock behind an alias": ("import time as t\n", "return t.time()", ["clock"]),
    "a clock behind a from-import": ("from datetime import datetime\n", "return datetime.now()", ["clock"]),
    "an id": ("import uuid\n", "return uuid.uuid4()", ["uuid"]),
    "a random number": ("import random\n", "return random.random()", ["random"]),
    "a process": ("import os\n", "return os.getpid()", ["environment"]),
    "a thread's name": ("import threading\n", "return threading.current_thread()", ["environment"]),
    # RG002: the outside world
    "a request": ("import requests\n", "return requests.get('https://x')", ["network"]),
    "a client of AWS": (
        "import boto3\ntable = boto3.resource('dynamodb').Table('t')\n",
        "table.put_item(Item={'id': 1})",
        ["network"],
    ),
    "a client that is made": ("import boto3\n", "return boto3.client('s3')", ["network"]),
    "a file": ("", "return open('/tmp/x').read()", ["file"]),
    "a folder": ("import os\n", "return os.listdir('/tmp')", ["file"]),
    "a file behind a path": ("from pathlib import Path\n", "return Path('/tmp/x').read_text()", ["file"]),
    # RG003: a step that changes what is not its own
    "a list that a step fills": (
        "",
        """
        log = []
        def write():
            log.append(1)
        context.step.run("w", write)
        return len(log)
        """,
        ["mutated-in-step"],
    ),
    "a dict that a lambda fills": (
        "",
        """
        state = {}
        context.step.run("w", lambda: state.__setitem__("done", True))
        return state
        """,
        ["mutated-in-step"],
    ),
    "a list of the module": (
        "AUDIT = []\n",
        "context.step.run('w', lambda: AUDIT.append(1))\nreturn len(AUDIT)",
        ["mutated-in-step"],
    ),
    "a counter": (
        "",
        """
        attempts = 0
        def count():
            nonlocal attempts
            attempts += 1
        context.step.run("c", count)
        return attempts
        """,
        ["mutated-in-step"],
    ),
    "a log that nobody reads": (
        "",
        """
        log = []
        context.step.run("a", lambda: log.append("a"))
        context.step.run("b", lambda: log.append("b"))
        return True
        """,
        [],
    ),
    "what another step reads": (
        "",
        """
        done = []
        context.step.run("one", lambda: done.append("one"))
        context.step.group("undo", lambda: [context.step.run(each, print) for each in reversed(done)])
        """,
        ["mutated-in-step"],
    ),
    "what the same step reads": (
        "",
        """
        def work():
            parts = []
            parts.append(1)
            return len(parts)
        return context.step.run("w", work)
        """,
        [],
    ),
    "a change whose result is taken": (
        "",
        """
        b = []
        context.step.run("s", lambda: b.append("x"))
        return b.pop()
        """,
        ["mutated-in-step"],
    ),
    "a client that is made where there is none yet": (
        """
        import boto3
        _client = None
        def get_client():
            global _client
            if _client is None:
                _client = boto3.client("bedrock-runtime")
            return _client
        """,
        "context.step.run('call', lambda: get_client().converse())",
        [],
    ),
    "a total that a helper of a step counts": (
        """
        TOTAL = 0
        def record():
            global TOTAL
            TOTAL = TOTAL + 1
        """,
        "context.step.run('rec', lambda: record())\nreturn TOTAL",
        ["mutated-in-step"],
    ),
    "a helper's own parameter": (
        "AUDIT = []\ndef record(bucket):\n    bucket['done'] = True\n    AUDIT.append(1)\n",
        "context.step.run('record', lambda: record({}))\nreturn len(AUDIT)",
        ["mutated-in-step"],
    ),
    "annotated names": (
        "",
        "names: list[str] = context.step.run('n', list)\nnames.append('a')\nreturn names",
        [],
    ),
    # RG004: a branch on what differs
    "a branch on the hour": (
        "from datetime import datetime\n",
        "if datetime.now().hour < 12:\n    context.step.run('morning', print)",
        ["clock", "unstable-branch"],
    ),
    "a branch on a step's result": (
        "import time\n",
        "if context.step.run('t', time.time) > 0:\n    context.step.run('late', print)",
        [],
    ),
    # RG005: an id of what differs
    "an id of a clock": (
        "import time\n",
        "context.step.run(f'op-{time.time()}', print)",
        ["clock", "computed-id"],
    ),
    "an id of an index": (
        "",
        "for index, item in enumerate(context.event.data['x']):\n    context.step.run(f'item-{index}', print, item)",
        [],
    ),
    "an order that is drawn": (
        "import random\n",
        "for pick in random.sample(['a', 'b'], 2):\n    context.step.run(f'handle-{pick}', print)",
        ["computed-id", "random", "unstable-branch"],
    ),
    # What is in a step is its own affair
    "a clock in a step": ("import time\n", "return context.step.run('t', lambda: time.time())", []),
    "a clock that is handed to a step": ("import time\n", "return context.step.run('t', time.time)", []),
    "a submitter that is given by name": (
        "import boto3\ntable = boto3.resource('dynamodb').Table('t')\n",
        """
        def register(callback):
            table.put_item(Item={"id": callback.token})
        return context.step.wait_for_callback("cb", submit=register, timeout="1d")
        """,
        [],
    ),
    "a poll": (
        "import time\n",
        "context.step.poll('p', time.time, until=lambda t: t > time.time(), every='1m', timeout='1d')",
        [],
    ),
    "a submitted step": ("import time\n", "return context.step.submit('s', time.time).result()", []),
    "a map": ("import time\n", "return context.step.map('m', lambda item: time.time(), [1])", []),
    "a group, which is handler code": (
        "import time\n",
        "return context.step.group('g', lambda: context.step.run('t', print, time.time()))",
        ["clock"],
    ),
    "a context of another name": (
        "import requests\n",
        """
        def child(inner):
            return inner.step.run("get", lambda: requests.get("https://x").json())
        return context.step.group("child", child, context)
        """,
        [],
    ),
    "branches with clocks in their steps": (
        "import time\n",
        """
        def branch():
            return context.step.run("a", time.time)
        context.step.parallel("p", branch, lambda: context.step.run("a", time.time))
        """,
        [],
    ),
    # Helpers
    "a file in a helper": (
        "def read_config():\n    return open('/tmp/c.json').read()\n",
        "return read_config()",
        ["file"],
    ),
    "a helper that only steps call": (
        "def save():\n    return open('/tmp/c.json').read()\n",
        "return context.step.run('save', lambda: save())",
        [],
    ),
    "a helper in a step and outside": (
        "import time\ndef now():\n    return time.time()\n",
        "return now(), context.step.run('now', lambda: now())",
        ["clock"],
    ),
    "a step's function that is also called": (
        "import boto3\ntable = boto3.resource('dynamodb').Table('t')\n",
        """
        def save():
            return table.put_item(Item={"id": 1})
        save()
        return context.step.run("save", save)
        """,
        ["network"],
    ),
    "a helper that calls itself": (
        "import time\ndef down(n):\n    return time.time() if n <= 0 else down(n - 1)\n",
        "return down(3)",
        ["clock"],
    ),
    "helpers that call each other": (
        "import time\ndef ping(n):\n    return pong(n)\ndef pong(n):\n    return time.time() if n else ping(n)\n",
        "return ping(1)",
        ["clock"],
    ),
    "a handler that calls itself": (
        "import time\n",
        "if context.event.data:\n    return handler(context)\nreturn time.time()",
        ["clock"],
    ),
    "a function that is a step wherever it is called": (
        """
        import datetime
        from lambda_durable import Durable
        shared = Durable("shared")
        @shared.step
        def validate(event):
            return datetime.datetime.now().isoformat()
        """,
        "return validate(context.event.data)",
        [],
    ),
    "the same function without that": (
        "import datetime\ndef validate(event):\n    return datetime.datetime.now().isoformat()\n",
        "return validate(context.event.data)",
        ["clock"],
    ),
    "a function that is stored, and called in a step": (
        "import random\n",
        """
        undo = []
        undo.append({"name": "undo", "fn": lambda: random.random()})
        for each in undo:
            context.step.run(each["name"], each["fn"])
        """,
        [],
    ),
    "a function that is called where it is written": (
        "import random\n",
        "return list(map(lambda _: random.random(), [1, 2]))",
        ["random"],
    ),
    # Data is no client, and no code
    "a method of what a client answered": (
        "import boto3\nbedrock = boto3.client('bedrock-runtime')\n",
        """
        response = context.step.run("converse", lambda: bedrock.converse())
        return [block for block in response["content"] if block["text"].find("x") > 0]
        """,
        [],
    ),
    "data that is handed on": ("", "return context.step.invoke('i', 'other', {'a': 1})", []),
    "a clock that is only named": ("import time\n", "clock = time.time\nreturn str(clock)", []),
}


@pytest.mark.parametrize(("extra", "body", "wanted"), CASES.values(), ids=CASES.keys())
def test_their_cases(broken, extra, body, wanted):
    assert broken(body, extra) == wanted


# What they name as their own blind spots


def test_calls_are_followed_into_other_files(broken):
    broken(
        "return outer()",
        "from helpers import outer\n",
        helpers="from deeper import inner\ndef outer():\n    return inner()\n",
        deeper="import time\ndef inner():\n    return time.time()\n",
    )
    (finding,) = broken.report().findings
    assert (finding.rule, finding.path, finding.line) == ("clock", "deeper.py", 3)
    assert finding.told == "time.time() outside a step (called by handler -> outer)"


MAKING = {
    "alias": """
        from lambda_durable import Durable
        app = Durable("shared")
        function = app.function
        """,
    "partial": """
        from functools import partial
        import lambda_durable
        app = lambda_durable.Durable("shared")
        function = partial(app.function, retry=None)
        """,
    "factory": """
        from lambda_durable import *
        app = Durable("shared")
        def function(id, *triggers, **options):
            return app.function(id, *triggers, **options)
        """,
    "unknown": """
        import unheard_of
        app = unheard_of.make_app()
        function = app.function
        """,
}
HANDLERS = """\
import time
from lambda_durable import Context
import shared
from shared import app, function

class Jobs:
    @staticmethod
    @app.function("a")
    def a(ctx: Context[dict]):
        return time.time()

def make():
    @shared.app.function("b")
    async def b(ctx: "Context[dict]"):
        return time.time()
    return b

@function("c")
def c(ctx: Context[dict]):
    return time.time()
"""


@pytest.mark.parametrize("shared", MAKING.values(), ids=MAKING.keys())
def test_handlers_are_found_however_they_are_made(tmp_path, monkeypatch, shared):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shared.py").write_text(textwrap.dedent(shared))
    (tmp_path / "h.py").write_text(HANDLERS)
    assert [finding.line for finding in check([tmp_path / "h.py"]).findings] == [10, 15, 20]


def test_calls_are_followed_through_a_receiver(broken):
    extra = """
        import time
        class Service:
            def __init__(self, clock):
                self.clock = clock
            def helper(self):
                return self.clock()
            def run(self):
                return self.helper()
        service = Service(time.time)
        """
    assert broken("return service.run()", extra) == ["clock"]


def test_who_calls_so_deep_that_it_is_not_looked_at_is_told_so(broken):
    chain = "".join(f"def f{n}():\n    return f{n + 1}()\n" for n in range(40))
    assert broken("return f0()", f"import time\n{chain}def f40():\n    return time.time()\n") == [
        "unresolved"
    ]


def test_a_group_whose_code_is_not_there_is_told_of(broken):
    assert broken("return context.step.group('x', helper)", "from elsewhere import helper\n") == [
        "unresolved"
    ]


# How it tells


def test_every_rule_says_why_and_the_way_out():
    assert all(rule.why and rule.way_out and rule.title for rule in RULES.values())


def test_findings_are_in_order_and_the_same_each_time(broken):
    body = "return [time.time(), time.time_ns(), random.random(), time.monotonic()]"
    broken(body, "import time, random\n")
    first, second = broken.report(), broken.report()
    assert first == second
    assert [each.column for each in first.findings] == sorted(each.column for each in first.findings)


def test_a_file_without_handlers_is_clean(tmp_path):
    (tmp_path / "a.py").write_text("import time\nnow = time.time()\ndef f():\n    return time.time()\n")
    report = check([tmp_path])
    assert (report.findings, report.notes, report.files, report.handlers) == ([], [], 1, 0)


def test_an_empty_file_is_clean(tmp_path):
    (tmp_path / "a.py").touch()
    assert check([tmp_path]).findings == []
