"""`lambda-durable dev`: an app on a cloud of its own, with its code as it is on disk."""

from __future__ import annotations

import json
import os
import shlex
import sys
import termios
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..local.ahead import VARIABLE as AHEAD
from ..local.cloud import CloudError, LocalCloud
from ..local.invoking import InvocationError, Invoker, NotLoadedError, Processes, Remote
from ..local.pump import Pump
from ..local.stack import LAMBDA_TIMEOUT, create_stack, settings_of, variables
from ..local.watching import Watch
from .dev_dashboard import DevDashboard
from .dev_worker import REGISTER
from .loading import folder_of
from .remarks import remark
from .stopping import on_signals
from .usage_error import FailedError, UsageError

LOOK = 0.3
"""Seconds between two looks at the app's files."""

_IN_THE_WAY = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "LAMBDA_DURABLE_STACK")
"""What a shell may have set, and goes before what is exported."""

DEBUG_TIMEOUT = 3600.0
"""Seconds that an invocation may take when a person looks into it."""


def develop(
    reference: str,
    *,
    host: str,
    port: int | None,
    state: Path | None,
    executor: str | None,
    concurrency: int,
    debug: bool = False,
    dashboard_port: int | None = None,
) -> None:
    """Run until it is interrupted. With `debug`, one invocation at a time has this terminal, and an hour. Raises
    UsageError and FailedError."""
    folder = folder_of(reference)
    if executor is not None and not executor.startswith(("http://", "https://")):
        raise UsageError(f"--executor is a URL, such as http://127.0.0.1:3001, and this is {executor!r}")
    if executor is not None and debug:
        raise UsageError("--debug is for workers of dev's own: debug those of --executor where they run")
    stopped = on_signals()
    try:
        with LocalCloud(host=host, port=port, state=state) as cloud, _terminal_as_it_was():
            _forget_other_clouds(cloud)
            _Development(reference, folder, cloud, executor, concurrency, debug, dashboard_port).run(stopped)
    except CloudError as error:
        raise FailedError(str(error)) from None


class _Development:
    def __init__(
        self,
        reference: str,
        folder: Path,
        cloud: LocalCloud,
        executor: str | None,
        concurrency: int,
        debug: bool,
        dashboard_port: int | None,
    ) -> None:
        self._cloud = cloud
        self._watch = Watch(folder)
        self._settings = settings = settings_of(cloud.endpoint)
        timeout = DEBUG_TIMEOUT if debug else LAMBDA_TIMEOUT
        self._variables = {**cloud.environ(), **variables(settings)}
        if executor is None:  # another's workers go by the host's clock
            self._variables[AHEAD] = str(cloud.ahead.path)
        environment = {**_own_environment(), **self._variables}
        self._dashboard = DevDashboard(reference, environment, dashboard_port)
        self._processes = Processes(
            [
                sys.executable,
                "-m",
                "lambda_durable.cli.dev_worker",
                reference,
                *(["--debug"] if debug else []),
            ],
            environment,
            timeout=timeout,
            terminal=debug,
        )
        invoker: Invoker = self._processes if executor is None else Remote(executor)
        self._pump = Pump(
            cloud.endpoint,
            settings,
            invoker,
            concurrency=1 if debug else concurrency,
            on_failure=_say,
            timeout=timeout,
        )

    def run(self, stopped: threading.Event) -> None:
        try:
            self._processes.prepare()
            create_stack(self._cloud.endpoint)
            loaded = self._load()
            self._dashboard.start()
            self._welcome()
            self._pump.start()
            if not loaded:
                self._pump.pause()
            while not stopped.wait(LOOK):
                self._cloud.check()
                self._dashboard.keep()
                if changed := self._watch.changed():
                    self._reload(changed)
        finally:
            self._pump.stop()
            self._processes.close()
            self._dashboard.stop()

    def _load(self) -> bool:
        """Import the app, and make its schedules those of its code. Whether it could be."""
        try:
            said: dict[str, Any] = self._processes.invoke(REGISTER)
        except NotLoadedError as error:
            _say(f"the app can't be loaded; waiting for a change: {error}")
            return False
        except InvocationError as error:
            _say(f"the schedules can't be registered: {error}")
            return True
        functions = ", ".join(said["functions"]) or "no functions"
        schedules = f"; {len(said['schedules'])} schedules" if said["schedules"] else ""
        _say(f"app {said['app']}: {functions}{schedules}")
        return True

    def _reload(self, changed: list[str]) -> None:
        _say(f"{', '.join(changed[:3])}{' ...' if len(changed) > 3 else ''} changed")
        self._processes.reload()
        self._dashboard.start()
        if self._load():
            self._pump.resume()
        else:
            self._pump.pause()

    def _welcome(self) -> None:
        environment = self._write_for_sam()
        exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in self._variables.items())
        sys.stdout.write(
            f"dashboard    {self._dashboard.url}\n"
            f"endpoint     {self._cloud.endpoint}\n"
            f"event bus    {self._variables['LAMBDA_DURABLE_BUS']}\n"
            f"its log      {self._cloud.log}\n"
            f"for sam      sam local start-lambda --env-vars {environment} (then: dev --executor URL)\n"
            "\nIn another terminal, so that lambda-durable, aws and sam talk to it:\n\n"
            f"unset {' '.join(_IN_THE_WAY)}\nexport {exports}\n\n"
            "Ctrl-C stops all of it.\n"
        )
        sys.stdout.flush()

    def _write_for_sam(self) -> Path:
        """The worker's variables, as `sam local` takes them; from a container this machine has another name."""
        inside = f"http://host.docker.internal:{self._cloud.port}"
        ours = variables(self._settings)
        path = self._cloud.log.with_name("env.json")
        path.write_text(json.dumps({"Parameters": {**ours, "AWS_ENDPOINT_URL": inside}}, indent=2))
        return path


def _forget_other_clouds(cloud: LocalCloud) -> None:
    """boto3 is to talk to this one, whatever profile the shell has for another."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(cloud.environ())


def _own_environment() -> Mapping[str, str]:
    """What the app's workers inherit of ours: all but settings for another cloud."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


@contextmanager
def _terminal_as_it_was() -> Iterator[None]:
    """A debugger that is killed at its prompt leaves a terminal that shows nothing of what is typed."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


def _say(text: str) -> None:
    remark("dev", text)
