"""What a Lambda has to carry: packages as pip installs them into a folder, with all that they need."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .artefact import size
from .environment import ROOT, Environment

PACKAGES = {
    "ours": f"{ROOT}[aws-sdk]",
    "aws_durable": "aws-durable-execution-sdk-python>=3,<4",
    "dbos_sqlite": "dbos",
    "restate_rr": "restate-sdk",
}
RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py")
"""What Lambda's own Python has already."""


def measured(environment: Environment, wanted: list[str]) -> dict[str, Any]:
    """Megabytes, zipped and unpacked; and zipped without what is there on Lambda."""
    return {name: _of(environment, PACKAGES[name]) for name in wanted if name in PACKAGES}


def _of(environment: Environment, requirement: str) -> dict[str, float]:
    with TemporaryDirectory(dir=environment.cache) as name:
        folder = Path(name)
        pip = [
            environment.python,
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            "--no-compile",
        ]
        subprocess.run([*pip, "--target", name, requirement], cwd=ROOT, check=True)
        zipped, unpacked = size(folder)
        for each in RUNTIME:
            for path in folder.glob(f"{each}*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        own, _ = size(folder)
    return {"zipped": zipped, "unpacked": unpacked, "without_boto3": own}
