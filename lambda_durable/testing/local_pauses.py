"""What a LocalRuntime's processes know of paused functions."""

from __future__ import annotations

from datetime import datetime

from ..pauses import KnowsPauses, Pause, Pauses


class LocalPauses(Pauses):
    """Nothing is looked up before the first pause, of which this hears; and later ones have their effect `at_once`,
    or like everywhere: when what the process knows is too old."""

    def __init__(self, *, at_once: bool) -> None:
        super().__init__()
        self._at_once = at_once
        self._any = False

    def of(self, store: KnowsPauses, now: datetime, function_id: str) -> Pause | None:
        return super().of(store, now, function_id) if self._any else None

    def forget(self) -> None:
        if self._at_once or not self._any:
            super().forget()
        self._any = True
