"""A ministack of our own: the AWS services that a stack needs, in one subprocess, on loopback."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from .ahead import VARIABLE, Ahead

REGION = "us-east-1"

_LAUNCH = Path(__file__).with_name("launch.py")
_FREE_PORT_TRIES = 5
_LAST_WORDS = 15
_SECONDS_TO_STOP = 15.0
_FOREIGN = ("AWS_", "LAMBDA_", "MINISTACK_", "LOCALSTACK_")
"""Settings that this process may have for another cloud."""


class CloudError(Exception):
    """The local cloud did not start, or is no longer there: nothing is said about what runs on it."""


class LocalCloud:
    """ministack as a subprocess. It listens on `host`, on a free port unless one is given.

    With `state`, a folder, what it holds outlives it, if it is stopped in order. `python` is the interpreter
    that runs it and the Lambdas deployed to it; ministack is installed there. `environment` is added to its
    own and to the Lambdas'.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        state: Path | None = None,
        python: str = sys.executable,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._host = host
        self._wanted_port = port
        self._state = state.resolve() if state is not None else None
        self._python = python
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._scratch: Path | None = None

    def __enter__(self) -> LocalCloud:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def endpoint(self) -> str:
        """Its URL on this machine."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        self.check()
        return self._port

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def log(self) -> Path:
        """What ministack and the Lambdas say."""
        if self._scratch is None:
            raise CloudError("the local cloud was not started")
        return (self._state or self._scratch) / "ministack.log"

    @property
    def ahead(self) -> Ahead:
        """How far its clock is ahead."""
        return Ahead(self.log.with_name("ahead"))

    def environ(self) -> dict[str, str]:
        """The environment in which the AWS command line, sam and boto3 talk to it, and to nothing else."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "SAM_CLI_TELEMETRY": "0",
        }

    def start(self, *, timeout: float = 60.0) -> None:
        """Start it, and return when it answers. Raises CloudError when it does not within `timeout` seconds."""
        self._check_installed()
        if self._state is not None:
            _make_folder(self._state)
        if self._wanted_port is not None:
            _check_free(self._host, self._wanted_port)
        self._scratch = Path(tempfile.mkdtemp(prefix="lambda-durable-cloud-"))
        deadline = time.monotonic() + timeout
        tries = 1 if self._wanted_port is not None else _FREE_PORT_TRIES
        try:
            for tried in range(1, tries + 1):
                self._port = self._wanted_port or _free_port()
                self._launch()
                if self._answers(deadline, last=tried == tries):
                    return
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it and every Lambda on it. Does nothing if it is not running."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    def check(self) -> None:
        """Raises CloudError unless it is running."""
        process = self._running()
        if process.poll() is not None:
            raise CloudError(
                f"the local cloud (ministack, pid {process.pid}) is gone: exit status {process.returncode}"
                f"{self._last_words()}"
            )

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise CloudError("the local cloud was not started")
        return self._process

    def _check_installed(self) -> None:
        if self._python == sys.executable:
            if importlib.util.find_spec("ministack") is None:
                raise CloudError(
                    "the local cloud is an extra; install it with: pip install 'lambda-durable[local]'"
                )
        elif shutil.which(self._python) is None:
            raise CloudError(f"there is no Python {self._python} to run the local cloud")

    def _launch(self) -> None:
        assert self._scratch is not None
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._python, "-P", str(_LAUNCH)],
                stdin=subprocess.PIPE,  # closes when we are no more, however that came: it ends then
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._child_environment(self._scratch),
                start_new_session=True,  # Ctrl-C is ours to handle; and its Lambdas end with it
            )

    def _child_environment(self, scratch: Path) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        for name in ("PYTHONPATH", "PYTHONHOME"):
            inherited.pop(name, None)  # a Lambda imports what was deployed
        keep = self._state or scratch
        return {
            **inherited,
            "BIND_HOST": self._host,
            "GATEWAY_PORT": str(self._port),
            "MINISTACK_HOST": "127.0.0.1",
            "MINISTACK_REGION": REGION,
            "PERSIST_STATE": "0" if self._state is None else "1",
            "STATE_DIR": str(keep / "state"),
            "S3_PERSIST": "0" if self._state is None else "1",
            "S3_DATA_DIR": str(keep / "s3"),
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "TMPDIR": str(scratch),
            "AWS_EC2_METADATA_DISABLED": "true",
            "PYTHONUNBUFFERED": "1",
            VARIABLE: str(self.ahead.path),
            **self._environment,
        }

    def _answers(self, deadline: float, *, last: bool) -> bool:
        """Wait until it does. False if its port was taken meanwhile, and another may be tried."""
        process = self._running()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while process.poll() is None:
            with contextlib.suppress(OSError, urllib.error.URLError):
                opener.open(f"http://127.0.0.1:{self._port}/_ministack/ready", timeout=2).close()
                return True
            if time.monotonic() > deadline:
                raise CloudError(f"the local cloud (ministack) does not answer{self._last_words()}")
            time.sleep(0.05)
        words = self._last_words()
        taken = "in use" in words
        if taken and not last:
            return False
        hint = f": port {self._port} is taken; choose another" if taken else ""
        raise CloudError(f"the local cloud (ministack) did not start{hint}{words}")

    def _last_words(self) -> str:
        try:
            lines = self.log.read_text(errors="replace").splitlines()[-_LAST_WORDS:]
        except (OSError, CloudError):
            return ""
        return "".join(f"\n  {line[:300]}" for line in lines)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _check_free(host: str, port: int) -> None:
    """Else who listens there would be taken for ours."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            why = f"can't listen on {host}:{port}: {error.strerror}"
            if error.errno == errno.EADDRINUSE:
                why = f"port {port} is taken; choose another"
            raise CloudError(f"the local cloud (ministack) did not start: {why}") from None


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CloudError(f"there can be no folder {path} for the state: {error.strerror}") from None


def _end(process: subprocess.Popen[bytes]) -> None:
    """In order, so that it saves its state; then whatever is left of it."""
    if process.poll() is None:
        process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_SECONDS_TO_STOP)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stdin is not None
    process.stdin.close()
