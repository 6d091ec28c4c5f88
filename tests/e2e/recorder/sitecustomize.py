"""Records what a worker calls, on a path that only its process has: for whoever starts the local cloud with
this folder on PYTHONPATH and LAMBDA_DURABLE_RECORD naming a file. One JSON line a call; see `permissions.py`."""

from __future__ import annotations

import functools
import json
import os
import sys
from importlib.abc import MetaPathFinder
from importlib.util import find_spec


class _OnImport(MetaPathFinder):
    """Wraps botocore's one way to call an API as soon as botocore is imported."""

    def find_spec(self, name, path=None, target=None):
        if name != "botocore.client":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            module.BaseClient._make_api_call = _recorded(module.BaseClient._make_api_call)

        spec.loader.exec_module = exec_module
        return spec


def _recorded(call):
    @functools.wraps(call)
    def record(self, operation, params):
        line = {
            "principal": "worker",
            "function": os.environ.get("AWS_LAMBDA_FUNCTION_NAME"),
            "service": self.meta.service_model.service_name,
            "operation": operation,
            "params": params,
        }
        with open(os.environ["LAMBDA_DURABLE_RECORD"], "a") as file:
            file.write(json.dumps(line, default=str) + "\n")
        return call(self, operation, params)

    return record


if "LAMBDA_DURABLE_RECORD" in os.environ:
    sys.meta_path.insert(0, _OnImport())
