"""`lambda-durable dashboard`: pages about a deployed app, on this machine and for its user alone."""

from __future__ import annotations

import sys
import tempfile
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from ..dashboard.server import Dashboard
from .deployed import as_one_line
from .loading import load_given
from .plain import write_json
from .stopping import on_signals
from .usage_error import FailedError


def serve_dashboard(
    *, app: str | None, stack: str | None, port: int | None, browser: bool, as_json: bool
) -> None:
    """Serve until it is interrupted. Raises UsageError and FailedError."""
    from ..api import connect

    stopped = on_signals()
    loaded = load_given(app)
    with as_one_line(stack):
        api = connect(stack, loaded)
    try:
        dashboard = Dashboard(lambda: api, port=port or 0)
    except OSError as error:
        raise FailedError(f"port {port} can't be had: {error.strerror or error}") from None
    with dashboard as served:
        if as_json:
            write_json({"url": served.url}, sys.stdout)
        else:
            sys.stdout.write(f"dashboard    {served.url}\n\nCtrl-C stops it.\n")
        sys.stdout.flush()
        with _opened(served.url) if browser else nullcontext():
            stopped.wait()


@contextmanager
def _opened(url: str) -> Iterator[None]:
    """In a browser, by way of a file: what a program is started with, every local user can read."""
    with tempfile.TemporaryDirectory(prefix="lambda-durable-") as folder:
        page = Path(folder) / "dashboard.html"
        page.write_text(f'<!doctype html><meta http-equiv="refresh" content="0; url={url}">\n')
        webbrowser.open(page.as_uri())
        yield
