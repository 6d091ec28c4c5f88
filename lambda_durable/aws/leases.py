"""Leases of slots on DynamoDB (gate_store.py has the items): what lets a step's function be called.

A step takes a slot with one conditional write, and two slots with one transaction. A refusal brings the gate as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..engine.gates import Gate, Place
from ..store import Join, Lease
from .attributes import number, text
from .gate_store import GATE, NOBODY_WAITS, GateStore, entering, gate_key, place_sort, read_gate, read_place


class LeaseStore(GateStore):
    """The part of the `Store` port by which steps take slots."""

    def lease(self, lease: Lease, place: Place | None) -> Mapping[str, Gate] | None:
        if place is None and not lease.ahead and len(lease.limits) == 1:
            limit = lease.limits[0]
            change, condition, names, values = entering(limit, lease.name, lease.until, past_nobody=True)
            condition, values = f"{condition} AND {NOBODY_WAITS}", {**values, ":zero": number(0)}
            done, item = self._update(
                gate_key(limit.gate), GATE, change, values, condition=condition, names=names
            )
            return None if done else {limit.gate: read_gate(item)}
        entries, gates = [], []
        for limit in lease.limits:
            here = place if place is not None and place.gate == limit.gate else None
            past_nobody = here is None and limit.gate not in lease.ahead
            change, condition, names, values = entering(
                limit, lease.name, lease.until, past_nobody=past_nobody
            )
            if past_nobody:
                condition, values = f"{condition} AND {NOBODY_WAITS}", {**values, ":zero": number(0)}
            some = self._gate_entries(limit.gate, change, condition, names, values, here)
            entries += some
            gates += [limit.gate, ""][: len(some)]
        found = self._all_or_nothing(entries)
        if found is None:
            return None
        return {
            gate: read_gate(item)
            for gate, item in zip(gates, found, strict=True)
            if gate and item is not None
        }

    def wait_in_line(self, join: Join, *, leaving: Place | None) -> bool:
        entries = self._join(join)
        if leaving is not None:
            entries += self._give_up(leaving)
        found = self._all_or_nothing(entries)
        if found is None:
            return True
        if found[1] is None:
            return False
        place = join.place  # there is one already
        self._update(
            gate_key(place.gate),
            place_sort(place),
            "SET b = :b, v = :v REMOVE z",
            {":b": text(join.body), ":v": number(place.generation)},
            condition="v < :v",
        )
        if leaving is not None:
            self._leave_line(leaving)
        return True

    def place(self, place: Place) -> Place | None:
        found = self._get(gate_key(place.gate), place_sort(place))
        return read_place(place.gate, found) if found else None
