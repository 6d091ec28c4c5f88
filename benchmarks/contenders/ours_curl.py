"""Ours, whose calls libcurl makes."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

os.environ["LAMBDA_DURABLE_TRANSPORT"] = "libcurl"
runpy.run_path(str(Path(__file__).with_name("ours.py")), run_name="__main__")
