"""The dashboard of `lambda-durable dev`, in a process of its own: `python -m lambda_durable.cli.dev_dashboard APP`.

It has the app, for what middleware encodes, and the cloud's time; and like a worker it begins anew with code that was
saved. Its socket and token are dev's, so that a page that is open stays so.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..local.ahead import VARIABLE as AHEAD
from ..local.ahead import Ahead
from .usage_error import UsageError

_SOCKET = "LAMBDA_DURABLE_DASHBOARD_SOCKET"
_TOKEN = "LAMBDA_DURABLE_DASHBOARD_TOKEN"


class DevDashboard:
    """The process, for who starts it; what comes before it listens waits on the socket. Raises UsageError where the
    port is taken."""

    def __init__(self, reference: str, environment: Mapping[str, str], port: int | None) -> None:
        from ..dashboard.server import address, listen

        try:
            self._socket = listen(port or 0)
        except OSError as error:
            raise UsageError(f"--dashboard-port {port} can't be had: {error.strerror or error}") from None
        token = secrets.token_urlsafe(32)
        self.url = address(self._socket.getsockname()[1], token)
        self._command = [sys.executable, "-m", "lambda_durable.cli.dev_dashboard", reference]
        self._environment = {**environment, _SOCKET: str(self._socket.fileno()), _TOKEN: token}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin, or begin anew."""
        self._end()
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.PIPE,  # it ends with us, however we do
            stdout=sys.stderr.fileno(),
            pass_fds=(self._socket.fileno(),),
            start_new_session=True,  # Ctrl-C is ours to handle
        )

    def keep(self) -> None:
        """Begin again if it is gone."""
        if self._process is not None and self._process.poll() is not None:
            self.start()

    def stop(self) -> None:
        self._end()
        self._socket.close()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()  # it keeps nothing
            process.wait()
            if process.stdin is not None:
                process.stdin.close()


def main(reference: str) -> None:
    from ..dashboard.server import Dashboard

    threading.Thread(target=_end_with_parent, daemon=True).start()
    listening = socket.socket(fileno=int(os.environ.pop(_SOCKET)))
    listening.set_inheritable(False)
    Dashboard(lambda: _api(reference), listening=listening, token=os.environ.pop(_TOKEN)).serve()


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def _api(reference: str) -> Callable[[dict[str, Any], Any], Mapping[str, Any]]:
    from ..api import connect
    from .loading import load_app

    ahead = Ahead(Path(os.environ[AHEAD])) if AHEAD in os.environ else None
    try:
        app = load_app(reference)
    except UsageError:  # dev says what is wrong with it, and begins this process anew once it is changed
        app = None
    api = connect(app=app)

    def answer(event: dict[str, Any], context: Any) -> Mapping[str, Any]:
        if ahead is not None:
            ahead.follow()
        return api(event, context)

    return answer


if __name__ == "__main__":
    main(*sys.argv[1:])
