"""The Lambda handler of the HTTP API: what its function URL calls."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any, Final, cast, get_args

from ..errors import ConfigurationError
from ..function import App
from .problems import answer
from .serving import Api, Scope, connect, spelled

SWITCH: Final = "LAMBDA_DURABLE_HTTP_API"
"""Says which routes there are: "all", or "callbacks" alone."""

logger = logging.getLogger(__name__)


class ApiHandler:
    """Answers the events of a function URL. On Lambda it connects when it is made, in the time that Lambda gives a cold
    start; elsewhere when it is first called."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._api: Api | None = None
        if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
            try:
                self._connect()
            except ConfigurationError as error:  # for the next request: it may be mended by then
                logger.error("%s", error)

    def __call__(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        if not isinstance(event, Mapping) or "http" not in event.get("requestContext", {}):
            raise ConfigurationError(
                "the Lambda of the HTTP API takes events of its function URL (payload version 2.0), and this is none"
            )
        try:
            api = self._api or self._connect()
        except ConfigurationError as error:
            logger.error("%s", error)
            return spelled(answer(RuntimeError("the API is not set up")))
        return api(event, context)

    def _connect(self) -> Api:
        self._api = connect(app=self._app, scope=_scope())
        return self._api


def _scope() -> Scope:
    """As the template says it: who may call, IAM or anybody, is the function URL's business."""
    wanted = os.environ.get(SWITCH, "all").removesuffix("-public")
    if wanted not in get_args(Scope):
        raise ConfigurationError(f"{SWITCH} is {' or '.join(get_args(Scope))}, and this is {wanted!r}")
    return cast("Scope", wanted)
