"""What stands in for a result that nobody knows: that of a step which was never executed.

A handler may hand it on, to another step say, take it apart and calculate with it: then more is unknown. Once it would
have to decide something, or show it, nobody can say what the handler does, and it is left there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from ..engine.interrupts import Interrupt
from ..engine.operations import FanOut, Group, Operation, StepCall, Wait
from ..engine.replay import Replay
from ..serialization import Codec


class Unclear(Interrupt):
    """What the handler does next depends on the result of the step at a path, which is not known."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path


def stand_in(op: Operation) -> None:
    """Let an operation's value be one that nobody knows."""
    unknown = StandIn(op.scope.replay, op.path)
    if isinstance(op, FanOut):
        op.codecs = [
            _Unknown(StandIn(op.scope.replay, op.branch_path(index))) for index in range(len(op.keys))
        ]
    elif isinstance(op, Wait):
        op.read = lambda _: unknown
    elif isinstance(op, StepCall | Group):
        op.codec = _Unknown(unknown)


class _Unknown(Codec):
    """Reads whatever it is given as the same unknown value."""

    __slots__ = ("_value",)

    def __init__(self, value: StandIn) -> None:
        super().__init__()
        self._value = value

    def decode(self, text: str) -> Any:  # noqa: ARG002
        return self._value


class StandIn:
    """A value that nobody knows."""

    __slots__ = ("__path", "__replay")

    def __init__(self, replay: Replay, path: str) -> None:
        self.__replay = replay
        self.__path = path

    def __getattr__(self, name: str) -> StandIn:
        if name.startswith("__"):  # what Python, or a library, asks of its kind
            raise AttributeError(name)
        return self

    def __refuse(self, *_: object) -> NoReturn:
        if self.__replay.interrupt is None:
            self.__replay.interrupt = Unclear(self.__path)
        raise self.__replay.interrupt

    def __more(self, *_: object, **__: object) -> StandIn:
        return self

    __class__ = property(__refuse)  # isinstance() looks at it
    __hash__: Callable[[StandIn], int] = __refuse  # type: ignore[assignment]
    __bool__ = __len__ = __iter__ = __contains__ = __await__ = __refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __refuse
    __str__ = __repr__ = __format__ = __bytes__ = __refuse
    __int__ = __float__ = __index__ = __complex__ = __round__ = __refuse
    __enter__ = __exit__ = __aenter__ = __aiter__ = __reversed__ = __fspath__ = __refuse
    __call__ = __getitem__ = __more
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __more
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __more
    __and__ = __rand__ = __or__ = __ror__ = __neg__ = __abs__ = __more
