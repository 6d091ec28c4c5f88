"""The contract of `Blobs`."""

from __future__ import annotations

import pytest

from lambda_durable.ports import Blobs


@pytest.mark.parametrize("text", ["", '{"a":1}', '"💥"', "x" * 6_000_000])
def test_a_text_comes_back_as_it_was(blobs: Blobs, text: str) -> None:
    blobs.put("run/a", text)
    assert blobs.get("run/a") == text


def test_a_second_put_replaces_the_first(blobs: Blobs) -> None:
    blobs.put("run/a", "1")
    blobs.put("run/a", "2")
    assert blobs.get("run/a") == "2"


@pytest.mark.parametrize("key", ["run/m[0]/x:1", "run/%5B💥", "run/a b+c?d#e&f"])
def test_keys_hold_any_character(blobs: Blobs, key: str) -> None:
    blobs.put(key, "1")
    assert blobs.get(key) == "1"


def test_what_was_never_put_is_a_key_error_that_names_it(blobs: Blobs) -> None:
    with pytest.raises(KeyError, match="run/nothing"):
        blobs.get("run/nothing")


def test_a_digest_is_the_same_for_an_equal_text_alone(blobs: Blobs) -> None:
    assert blobs.digest("💥") == blobs.digest("💥") != blobs.digest("x")
    assert len(blobs.digest("x")) == 64
