"""What a bench needs and the library does not: the peers, from PyPI and npm, in a folder that git ignores."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]

EXTRAS = "aws-sdk,curl"
PEERS = (
    "aws-durable-execution-sdk-python>=3,<4",
    "aws-durable-execution-sdk-python-testing",
    "dbos",
    "restate-sdk",
    "hypercorn",
    "awslambdaric",
)
PLOTS = ("matplotlib",)
EMULATOR = "aws-sam-cli"
"""It has the binary of AWS's runtime interface emulator; nothing else of it is used."""

RESTATE_SERVER = "@restatedev/restate-server"


@dataclass(frozen=True)
class Environment:
    """Where it is: a Python that has the library and its peers, which share one boto3 (AWS's SDK wants a newer one than
    the local cloud takes), and Restate's server."""

    cache: Path
    python: str

    @property
    def restate_server(self) -> Path:
        """The server's binary, which npm brings for this machine."""
        found = sorted(
            (self.cache / "node_modules" / "@restatedev").glob("restate-server-*/bin/restate-server")
        )
        return found[0] if found else Path("restate-server")

    @property
    def emulator(self) -> str:
        """AWS's runtime interface emulator for this machine."""
        kind = "x86_64" if platform.machine() in ("x86_64", "AMD64") else "arm64"
        return str(self.cache / "sam" / "samcli" / "local" / "rapid" / f"aws-lambda-rie-{kind}")

    def versions(self) -> dict[str, str]:
        """Of what is compared."""
        names = ["boto3", "pycurl", "aws-durable-execution-sdk-python", "dbos", "restate-sdk"]
        code = f"from importlib.metadata import version\nfor name in {names}: print(name, version(name))"
        told = subprocess.run([self.python, "-c", code], check=True, capture_output=True, text=True).stdout
        found = dict(line.split() for line in told.splitlines())
        package = self.cache / "node_modules" / "@restatedev" / "restate-server" / "package.json"
        if package.is_file():
            found["restate-server"] = json.loads(package.read_text())["version"]
        return {"python": platform.python_version(), **found}


def prepared() -> Environment:
    """Install what is not there yet. It takes some minutes, once."""
    cache = ROOT / ".bench" / f"{sys.version_info.major}.{sys.version_info.minor}"
    environment = Environment(cache, str(cache / "venv" / "bin" / "python"))
    stamp = cache / "installed"
    wanted = hashlib.sha256("\n".join([sys.version, EXTRAS, *PEERS, *PLOTS, EMULATOR]).encode()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return environment
    cache.mkdir(parents=True, exist_ok=True)
    sys.stderr.write(f"bench: setting up {cache} ...\n")
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(cache / "venv")], check=True)
    pip = [environment.python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "--editable", f"{ROOT}[{EXTRAS}]", *PEERS, *PLOTS], check=True)
    subprocess.run([*pip, "--upgrade", "--no-deps", "--target", str(cache / "sam"), EMULATOR], check=True)
    subprocess.run(["npm", "install", "--silent", "--prefix", str(cache), RESTATE_SERVER], check=True)
    stamp.write_text(wanted)
    return environment
