"""`sam init --location` this repository: what `lambda-durable init` does, with nothing installed."""

import importlib.util
import tomllib
from pathlib import Path

REPOSITORY = Path(r"{{ cookiecutter._repo_dir }}")
LOCATION = r"{{ cookiecutter._template }}"

spec = importlib.util.spec_from_file_location("scaffold", REPOSITORY / "lambda_durable/cli/scaffold.py")
assert spec is not None
assert spec.loader is not None
scaffold = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scaffold)

Path(".gitkeep").unlink()
version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
# A zip is unpacked to a folder that does not last; a clone stays where it is.
source = f"~={version}" if LOCATION.endswith(".zip") else f" @ {REPOSITORY.resolve().as_uri()}"
scaffold.write(Path.cwd(), source=source)
