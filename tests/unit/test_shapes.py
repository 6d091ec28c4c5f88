"""What fits an annotation of JSON's own types is what pydantic would take, as it is."""

from typing import Any, List, Optional, Union  # noqa: UP035

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from lambda_durable.equality import difference
from lambda_durable.serialization import codec
from lambda_durable.shapes import shape_of

scalars = st.sampled_from([None, bool, int, float, str])
hints = st.recursive(
    st.one_of(scalars, st.sampled_from([list, dict, list[Any], dict[str, Any]])),
    lambda inner: st.one_of(
        inner.map(lambda hint: list[hint]),
        inner.map(lambda hint: dict[str, hint]),
        st.tuples(inner, inner).map(lambda pair: Union[pair]),  # noqa: UP007,
    ),
    max_leaves=4,
)
values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.binary(max_size=2)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.text(max_size=2), st.just("$"), st.integers(0, 2)), inner, max_size=3),
        st.tuples(inner),
    ),
    max_leaves=6,
)


@given(hints, values)
def test_what_fits_is_what_pydantic_takes_as_it_is(hint, value):
    shape = shape_of(hint)
    if shape is not None and shape.fits(value):
        assert difference(value, TypeAdapter(hint).validate_python(value), exact=True) is None
        kept = codec(hint)
        assert difference(value, kept.decode(kept.encode(value)), exact=True) is None


@pytest.mark.parametrize(
    ("hint", "fitting", "other"),
    [
        (int, 1, True),
        (float, 1.0, 1),
        (None, None, 0),
        (int | None, None, "1"),
        (Optional[str], "", b""),  # noqa: UP045
        (dict[str, int], {"a": 1}, {1: 1}),
        (List[int], [1, 2], [1, 2.0]),  # noqa: UP006
        (list[dict[str, float | None]], [{"a": 1.5}, {"b": None}], [{"a": 1}]),
        (dict[str, Any], {"a": [{"b": None}]}, {"a": (1,)}),
        (list, [1, "a", {}], [{1: 2}]),
        (list[int] | dict[str, str], {"a": "b"}, {"a": 1}),
    ],
    ids=repr,
)
def test_types_count_exactly(hint, fitting, other):
    shape = shape_of(hint)
    assert shape is not None
    assert (shape.fits(fitting), shape.fits(other)) == (True, False)


@pytest.mark.parametrize(
    "hint",
    [Any, object, bytes, tuple[int, ...], set[int], dict[int, str], list[bytes], list[int] | list[str]],
    ids=repr,
)
def test_all_else_is_left_to_pydantic(hint):
    assert shape_of(hint) is None


def test_what_is_very_deep_is_left_to_pydantic():
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    shape = shape_of(list)
    assert shape is not None
    assert not shape.fits(deep)
