"""The package that a Lambda gets: how large it is, and what importing it costs a cold start.

Made by pip as `sam build` does it, for this interpreter. Lambda's folder can't be written to, so bytecode that is
not in the package is compiled at each cold start anew.
"""

from __future__ import annotations

import compileall
import io
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from py_compile import PycInvalidationMode
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "functions/checkout"

Row = Callable[[list[float], str], None]


def measure(runs: int, row: Row) -> None:
    """Prints sizes, and hands `row` the milliseconds of each import."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        _install(folder)
        zipped, unpacked = size(folder)
        what = "artefact of functions/checkout"
        print(f"{what:<58} {zipped:>8.1f} MB zipped {unpacked:>5.1f} MB unpacked")
        row(_imports(runs, folder), "import app: a cold start with it (wall, whole process)")
        compileall.compile_dir(folder, quiet=2, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
        row(_imports(runs, folder), "import app: the same, compiled beforehand")


def _install(folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-compile"]
    subprocess.run(
        [*pip, "--target", str(folder), "-r", str(EXAMPLE / "requirements.txt")], cwd=ROOT, check=True
    )
    for source in EXAMPLE.glob("*.py"):
        (folder / source.name).write_bytes(source.read_bytes())


def size(folder: Path) -> tuple[float, float]:
    """Megabytes of what is in a folder: zipped, as Lambda takes it, and as it is."""
    packed = io.BytesIO()
    files = [path for path in folder.rglob("*") if path.is_file()]
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            archive.write(path, path.relative_to(folder))
    return len(packed.getvalue()) / 1e6, sum(path.stat().st_size for path in files) / 1e6


def _imports(runs: int, folder: Path) -> list[float]:
    """Milliseconds, as in a Lambda: no site-packages, and nothing is written."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-S", "-c", "import app"], cwd=folder, env=environment, check=True)
        times.append((time.perf_counter() - begun) * 1000)
    return times
