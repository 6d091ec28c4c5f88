"""Routes about many runs at once: a portion a request, since a Lambda has little time."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Literal

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import AwareDatetime

from ..repeats import PER_SECOND, PORTION, SLOWEST
from ..runs import Portion
from .backend import Backend, Resolver
from .fields import LONGEST_CURSOR, LONGEST_EXPRESSION, LONGEST_NAME, Body

MOST = 1_000
"""Runs that a request looks at, at most."""

Ended = Literal["completed", "failed", "cancelled", "skipped"]


class Many(Body):
    """Runs of a function that began in a time. `cursor` is that of the portion before; all else stays the same."""

    function: Annotated[str, MinLen(1), MaxLen(LONGEST_NAME)]
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    look_at: Annotated[int, Ge(1), Le(MOST)] = PORTION
    cursor: Annotated[str, MaxLen(LONGEST_CURSOR)] | None = None


class Cancellation(Many):
    """Those that have not ended, and for whose event the CEL expression holds."""

    if_exp: Annotated[str, MaxLen(LONGEST_EXPRESSION)] | None = None


class Replay(Many):
    """Those that ended like this, `per_second` at most. With an `id` for the replay, each is done again once in it."""

    status: Ended = "failed"
    per_second: Annotated[float, Ge(SLOWEST), Le(1_000)] = PER_SECOND
    id: Annotated[str, MinLen(1), MaxLen(LONGEST_NAME)] | None = None


def add(routes: Resolver, backend: Backend) -> None:
    client = backend.client

    @routes.post("/v1/cancellations", tags=["bulk"], summary="Cancel many runs")
    def cancel(many: Cancellation) -> Portion:
        return client.cancel_portion(
            many.function, many.since, many.until, many.if_exp, look_at=many.look_at, cursor=many.cursor
        )

    @routes.post("/v1/replays", tags=["bulk"], status_code=HTTPStatus.ACCEPTED, summary="Do many runs again")
    def replay(many: Replay) -> Portion:
        return client.replay_portion(
            many.function,
            many.status,
            many.since,
            many.until,
            per_second=many.per_second,
            id=many.id,
            look_at=many.look_at,
            cursor=many.cursor,
        )
