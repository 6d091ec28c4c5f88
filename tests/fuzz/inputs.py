"""Input as nobody should send it: valid input with something changed in it, and what was never valid."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

characters = st.one_of(st.sampled_from('/:[]%#."\\{}$ \x00\n'), st.characters(exclude_categories=[]))
texts = st.one_of(
    st.text(characters, max_size=8),
    st.sampled_from(
        ["", "\ud800", "../../x", "${jndi:x}", "x" * 257, "é" * 600, "x" * 70_000, "1e999", ":undo"]
    ),
)
numbers = st.one_of(
    st.integers(-3, 3),
    st.floats(),
    st.sampled_from([10**15, 2**63, -(2**63), 10**40, 10**400, 1e308, 253402300800000]),
)


def nested(levels: int) -> Any:
    value: Any = "deep"
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


odd = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts, st.sampled_from([30, 250, 900]).map(nested)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
"""Any JSON value, the awkward ones first."""


def places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to what is in a JSON value, but for its depths."""
    if len(here) > 8:
        return [here]
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(place for key, item in inner for place in places(item, (*here, key)))]


def mutated(valid: st.SearchStrategy[Any], *, most: int = 3) -> st.SearchStrategy[Any]:
    """A JSON value with up to `most` changes: something in it is missing, or something else, or too much."""
    return _mutated(valid, most)


@st.composite
def _mutated(draw: Any, valid: st.SearchStrategy[Any], most: int) -> Any:
    root = [copy.deepcopy(draw(valid))]
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, most]))):
        *way, last = draw(st.sampled_from(places(root)[1:] or [(0,)]))
        holder: Any = root
        for key in way:
            holder = holder[key]
        what = draw(st.sampled_from(["like", "like", "like", "replace", "delete", "add"]))
        if what == "delete" and holder is not root:
            del holder[last]
        elif what == "add" and isinstance(holder, dict):
            holder[draw(st.one_of(texts, st.sampled_from(sorted(holder))))] = draw(odd)
        else:
            holder[last] = draw(_like(holder[last]) if what == "like" else odd)
        if not root:
            root.append(None)
    return root[0]


def _like(value: Any) -> st.SearchStrategy[Any]:
    """Another value of the same kind."""
    match value:
        case bool():
            return st.just(not value)
        case int() | float():
            return st.one_of(numbers.filter(lambda number: isinstance(number, int)), st.integers(-2, 9))
        case str():
            return st.one_of(
                texts, st.sampled_from(["target", "bystander", "paid", "cool", "parts[0]", ":start"])
            )
        case list():
            return st.one_of(st.just([]), st.just([*value, *value]))
    return odd


def bodies(valid: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    """The text of a mutated value; or that, cut or with something put in; or any text at all."""
    whole = mutated(valid).map(json.dumps)
    return st.one_of(
        whole, whole, whole, _spoilt(whole), st.text(characters, max_size=40), odd.map(json.dumps)
    )


@st.composite
def _spoilt(draw: Any, whole: st.SearchStrategy[str]) -> str:
    text = draw(whole)
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 9)))
    return text[:start] + draw(st.text(characters, max_size=3)) + text[end:]
