"""How a command that serves is stopped: by Ctrl-C, by SIGTERM, and by the end of its terminal."""

from __future__ import annotations

import signal
import threading


def on_signals() -> threading.Event:
    """Set from then on when this process is to stop. Also where who started it had it ignore Ctrl-C, as a shell does to
    what it puts in the background."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopped.set())
    return stopped
