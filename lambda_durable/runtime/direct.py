"""A message that starts a function directly: where and when its run begins, and whether it may."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..durations import to_millis
from ..function import App
from ..ports import Delivery, Invocation, VersionGoneError, World
from . import children, starting
from .beginnings import Begun
from .eager import begun_by
from .messages import PoisonError, Start, tag
from .wakes import send_at


@dataclass(frozen=True, slots=True)
class Direct:
    """Begins the runs that are started directly."""

    _app: App
    _world: World

    def start(
        self, message: Start, delivery: Delivery, invocation: Invocation, *, eagerly: bool
    ) -> Begun | None:
        """Begin a run, or leave it to a later time or another version. Returns it if it is to begin `eagerly`. Raises
        PoisonError."""
        world = self._world
        now = to_millis(world.clock.now())
        if message.at is not None and message.at > now:
            send_at(world, message.body(), message.at, now=now, name=f"{message.run}/at")
            return None
        if message.pin is not None and message.pin != world.versions.present:
            try:
                world.versions.hand_over(message.pin, delivery, invocation)
                return None
            except VersionGoneError:  # who handles a failure may be the live code
                if message.invoker is not None and not self._has_begun(message, delivery):
                    why = f"Lambda version {message.pin}, to which the run is pinned that invoked it, was deleted"
                    children.refuse(world, message, delivery, why)
                    return None
                message = replace(message, pin=None)
        may = message.invoker is None or children.may_begin(world, message, delivery)
        if not may and not self._has_begun(message, delivery):
            return None
        try:
            return starting.start(world, self._app, message, delivery, eagerly=eagerly)
        except PoisonError as error:
            children.refuse(world, message, delivery, str(error))
            raise

    def _has_begun(self, message: Start, delivery: Delivery) -> bool:
        return bool(begun_by(self._world, [message.run], tag(delivery.message_id)))
