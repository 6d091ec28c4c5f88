"""What functions log."""

from __future__ import annotations

import io
import json

from aws_lambda_powertools import Logger


class Lines:
    """What a function's logger writes."""

    def __init__(self, function_id):
        # Powertools' loggers are one for each service, as logging's are for each name.
        self._handler = Logger(service=function_id).registered_handler
        self._stream = io.StringIO()
        self._before = self._handler.setStream(self._stream)

    def close(self):
        self._handler.setStream(self._before)

    @property
    def all(self):
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]

    @property
    def messages(self):
        return [line["message"] for line in self.all]
