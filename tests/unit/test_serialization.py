"""Values come back as they were: equal, and of the same types."""

from __future__ import annotations

import functools
import json
import math
import re
import subprocess
import sys
from collections import Counter, OrderedDict, UserDict, defaultdict, deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, IntEnum, StrEnum
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, Self, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    PrivateAttr,
    RootModel,
    SecretStr,
    computed_field,
    field_serializer,
    field_validator,
)
from typing_extensions import TypedDict

from lambda_durable.errors import SerializationError
from lambda_durable.serialization import UNKNOWN, byte_length, codec, codec_of, fingerprint, to_plain

T = TypeVar("T")
PARIS = ZoneInfo("Europe/Paris")


class Color(Enum):
    RED = "red"
    ODD = object()


class Level(IntEnum):
    LOW = 1


class Mode(StrEnum):
    FAST = "fast"


class Rights(Flag):
    READ = 1
    WRITE = 2


@dataclass
class Point:
    x: float
    y: Any = None


@dataclass(frozen=True, slots=True)
class Sum:
    parts: tuple[int, ...]
    total: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", sum(self.parts))


@dataclass
class Doubling:
    n: int

    def __post_init__(self) -> None:
        self.n *= 2


@dataclass
class NeedsMore:
    n: int
    scale: InitVar[int]

    def __post_init__(self, scale: int) -> None:
        self.n *= scale


class Pair(NamedTuple):
    left: int
    right: str


class Animal(BaseModel):
    name: str


class Dog(Animal):
    breed: str = "mutt"


class Cat(BaseModel):
    name: str


class Aliased(BaseModel):
    order_id: str = Field(alias="orderId")
    total: int = Field(validation_alias="sum", serialization_alias="amount")


class Swapped(BaseModel):
    a: int = Field(alias="b")
    b: int = Field(alias="a")


class Hiding(BaseModel):
    shown: int
    hidden: str = Field(default="", exclude=True)


class Private(BaseModel):
    n: int
    _seen: list[int] = PrivateAttr(default_factory=list)


class Shouting(BaseModel):
    text: str

    @field_validator("text")
    @classmethod
    def louder(cls, text: str) -> str:
        return text + "!"


class Rounding(BaseModel):
    price: Decimal

    @field_serializer("price")
    def rounded(self, price: Decimal) -> str:
        return f"{price:.1f}"


class Computed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    side: int

    @computed_field
    def area(self) -> int:
        return self.side**2


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    n: int


class Loose(BaseModel):
    data: Any
    when: datetime | None = None


class Literally(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="constants")
    x: float


class Names(RootModel[list[str]]):
    pass


class Box(BaseModel, Generic[T]):
    content: T


class Row(TypedDict):
    id: int
    name: str


class Opaque:
    pass


def back(value: Any, hint: Any = UNKNOWN) -> Any:
    used = codec(hint)
    text = used.encode(value)
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    return used.decode(text)


def identical(a: Any, b: Any) -> bool:
    """Equality that tells 1 from True and 0.0 from -0.0, and takes nan for nan."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return repr(a) == repr(b)
    if isinstance(a, Decimal):
        return str(a) == str(b)
    if isinstance(a, dict):
        return len(a) == len(b) and all(map(identical, a.items(), b.items()))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(identical, a, b))
    if isinstance(a, BaseModel | Point):
        return identical(vars(a), vars(b))
    return bool(a == b)


def refusal(value: Any, hint: Any = UNKNOWN) -> str:
    with pytest.raises(SerializationError) as caught:
        codec(hint).encode(value)
    return str(caught.value)


def short(value: Any) -> str:
    """The same in every process, as pytest-xdist wants the names of tests."""
    text = type(value).__name__ if isinstance(value, set) else repr(value)
    return re.sub(" at 0x[0-9a-f]+", "", text)[:40]


# Without an annotation

PLAIN = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**70,
    1.0,
    -0.0,
    1e300,
    5e-324,
    math.nan,
    math.inf,
    -math.inf,
    "",
    "é 🎈",
    "$",
    '"$":',
    "\x00\u2028",
    [],
    {},
    [[]],
    {"a": {"b": [1, 1.0, True, None]}},
]
RICH = [
    datetime(2025, 1, 2, 3, 4, 5, 6),
    datetime(2025, 1, 2, tzinfo=UTC),
    date(2025, 1, 2),
    time(1, 2, 3, 4),
    datetime(2025, 1, 2, tzinfo=timezone(timedelta(hours=-3, minutes=-7, seconds=-5))),
    time(1, 2, tzinfo=UTC),
    timedelta(0),
    timedelta(microseconds=-1),
    timedelta.min,
    timedelta.max,
    timedelta(days=3),
    Decimal("1.00"),
    Decimal("-0"),
    Decimal("NaN"),
    Decimal("sNaN"),
    Decimal("Infinity"),
    Decimal("1E+999999"),
    UUID(int=7),
    b"",
    b"\x00\xff",
    (),
    (1, (2.0,)),
    set(),
    {1, "a", (2, b"x")},
    frozenset({frozenset({1})}),
    Color.RED,
    Color.ODD,
    Level.LOW,
    Mode.FAST,
    Rights.READ | Rights.WRITE,
    Rights(0),
    Point(1.0, Point(math.nan, {1: Color.RED})),
    Sum((1, 2)),
    Dog(name="Rex"),
    Names(["a"]),
    Loose(data={"at": datetime(2025, 1, 1), 3: (1,)}),
    Aliased(orderId="7", sum=3),
    Swapped(b=1, a=2),
    Hiding(shown=1, hidden="x"),
    Private(n=1),
    Computed(side=3),
    Open(n=1, m=(2,)),
    Literally(x=math.nan),
    {1: "a"},
    {None: 1, True: 2, 2.5: 3, "x": 4},
    {math.nan: 1},
    {(1, 2): {date(2025, 1, 1): 1}},
    {"$": 1},
    {"$": "datetime", "v": "x"},
    {"$": {"$": []}},
]


@pytest.mark.parametrize("value", PLAIN + RICH, ids=short)
def test_a_value_without_annotation_comes_back_identical(value: Any) -> None:
    assert identical(back(value), value)
    assert identical(back([{"in": value}]), [{"in": value}])


@pytest.mark.parametrize("value", PLAIN[:9] + PLAIN[14:], ids=repr)
def test_plain_json_is_stored_as_plain_json(value: Any) -> None:
    assert json.loads(codec().encode(value)) == value


def test_text_is_compact_and_readable() -> None:
    assert codec().encode({"name": "Zoë", "n": [1, 2]}) == '{"name":"Zoë","n":[1,2]}'
    assert codec().encode(Decimal("9.90")) == '{"$":"decimal","v":"9.90"}'
    assert codec().encode({1: "a"}) == '{"$":"dict","v":[[1,"a"]]}'


def test_subclasses_come_back_as_the_base_that_equals_them() -> None:
    class Text(str):
        def __str__(self) -> str:
            return "else"

    values = [Text("a"), OrderedDict(a=1), Counter("aab"), defaultdict(list, a=[1]), Pair(1, "x")]
    bases = ["a", {"a": 1}, {"a": 2, "b": 1}, {"a": [1]}, (1, "x")]
    for value, base in zip(values, bases, strict=True):
        assert identical(back(value), base)
        assert back(value) == value


def test_a_subclass_that_no_base_equals_is_refused() -> None:
    class Odd(list[int]):
        def __eq__(self, other: object) -> bool:
            return False

        __hash__ = None  # type: ignore[assignment]

    class Late(datetime):
        def __eq__(self, other: object) -> bool:
            return False

        __hash__ = datetime.__hash__

    assert "Odd at `.x`" in refusal({"x": Odd([1])})
    assert "Late" in refusal(Late(2025, 1, 1))


@pytest.mark.parametrize("fold", [0, 1])
@pytest.mark.parametrize("hint", [UNKNOWN, datetime, Any])
def test_a_zone_and_the_fold_of_its_clock_are_kept(fold: int, hint: Any) -> None:
    value = datetime(2025, 10, 26, 2, 30, tzinfo=PARIS, fold=fold)
    got = back(value, hint)
    assert got == value
    assert got.tzinfo is PARIS
    assert got.utcoffset() == value.utcoffset()
    assert back([time(1, tzinfo=PARIS)], list[time] if hint is datetime else UNKNOWN)[0].tzinfo is PARIS


def test_sets_are_written_in_one_order_in_every_process() -> None:
    code = (
        "from lambda_durable.serialization import *;"
        "v = [{str(i) for i in range(20)}, {'b': 1, 'a': 2}, object()];"
        "print(codec().encode(v[0]), fingerprint(v))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in "12"
    ]
    texts = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert texts[0] == texts[1] != ""


# What cannot be kept


@pytest.mark.parametrize(
    "value",
    [
        object(),
        Opaque(),
        Opaque,
        len,
        lambda: 1,
        1j,
        bytearray(b"x"),
        range(3),
        iter([1]),
        Path("x"),
        ValueError("x"),
        deque([1]),
        UserDict(a=1),
        memoryview(b"x"),
        SecretStr("x"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_anything_else_is_refused_by_type_place_and_way_out(value: Any) -> None:
    message = refusal({"items": [0, {"price": value}]})
    assert type(value).__qualname__ in message
    assert "`.items[1].price`" in message
    assert "return what identifies it" in message
    assert " at 0x" not in message


def test_a_coroutine_is_refused_as_not_awaited() -> None:
    async def work() -> None: ...

    coroutine = work()
    assert "not awaited" in refusal(coroutine)
    coroutine.close()


def test_places_inside_odd_containers_are_named() -> None:
    assert "`.a['b c'][3][datetime.date][0]`" in refusal({"a": {"b c": {3: {date(2025, 1, 1): (object(),)}}}})
    assert "`.y`" in refusal(Point(1, Opaque()))
    assert "`.data.x`" in refusal(Loose(data={"x": Opaque()}))


def test_lone_surrogates_are_refused() -> None:
    for value in ("\ud800", ["é\udfff"], {"\ud800": 1}, {1: "\ud800"}):
        assert "lone surrogate" in refusal(value)
        assert "lone surrogate" in refusal(value, type(value))


def nested(levels: int, wrap: Callable[[Any], Any]) -> Any:
    value = wrap(None)
    for _ in range(levels - 1):
        value = wrap(value)
    return value


WRAPS: list[tuple[Callable[[Any], Any], Any]] = [
    (lambda v: [v], UNKNOWN),
    (lambda v: [v], list),
    (lambda v: [v], list[Any]),
    (lambda v: {"a": v}, UNKNOWN),
    (lambda v: {"a": v}, dict[str, Any]),
    (lambda v: (v,), UNKNOWN),
    (lambda v: (v,), tuple),
    (lambda v: {1: v}, dict),
    (lambda v: Point(1, v), UNKNOWN),
    (lambda v: Point(1, v), Point),
    (lambda v: Loose(data=v), Loose),
]


@pytest.mark.parametrize(("wrap", "hint"), WRAPS)
def test_two_hundred_levels_are_kept_and_no_more(wrap: Callable[[Any], Any], hint: Any) -> None:
    codec(hint).decode(codec(hint).encode(nested(200, wrap)))
    for levels in (201, 202, 300):
        assert "200 levels" in refusal(nested(levels, wrap), hint)


ABYSS = nested(100_000, lambda v: [v])


@pytest.mark.parametrize("hint", [UNKNOWN, list, dict, Any, list[Any], Loose])
def test_what_contains_itself_is_refused(hint: Any) -> None:
    ring: list[Any] = []
    ring.append({"again": ring})
    loop = Loose(data=None)
    loop.data = [loop]
    assert "contains itself" in refusal(ring, hint)
    assert "contains itself" in refusal(loop, hint)
    assert "contains itself" in refusal(ABYSS, hint)


def test_integers_too_long_to_write_are_refused() -> None:
    longest = 10**4300 - 1
    for hint in (UNKNOWN, int, dict):
        value = {"n": longest} if hint is dict else longest
        assert back(value, hint) == value
        assert "4300 digits" in refusal({"n": longest + 1} if hint is dict else longest + 1, hint)


def test_classes_that_cannot_be_found_again_are_refused() -> None:
    @dataclass
    class Local:
        n: int

    class Hidden(BaseModel):
        pass

    Hidden.__qualname__ = "Animal"
    for value in (Local(1), Hidden(), Enum("Made", "A")["A"], Box[Pair](content=Pair(1, "x"))):
        message = refusal([value])
        assert type(value).__qualname__ in message
        assert "annotate the function's return type" in message
        assert "top level of its module" in message
    assert back(Local(1), Local) == Local(1)


def test_an_object_that_its_own_constructor_changes_is_refused() -> None:
    assert "`[0].n`" in refusal([Doubling(2)])
    assert "scale" in refusal(NeedsMore(2, 3))
    assert "`.text`" in refusal(Shouting(text="hey"))
    seen = Private(n=1)
    seen._seen.append(1)
    assert "`._seen`" in refusal(seen)
    assigned = Animal(name="x")
    assigned.name = 5  # type: ignore[assignment]
    assert "Animal" in refusal(assigned)


def test_errors_of_the_users_own_code_become_ours() -> None:
    class Failing(dict[str, int]):
        def __eq__(self, other: object) -> bool:
            raise RuntimeError("no comparison")

        __hash__ = None  # type: ignore[assignment]

    assert "no comparison" in refusal(Failing())


# With an annotation

ANNOTATED: list[tuple[Any, Any]] = [
    (str, "x"),
    (int, 5),
    (float, 2.5),
    (float, math.nan),
    (float, -0.0),
    (bool, True),
    (None, None),
    (type(None), None),
    (bytes, b"abc"),
    (bytes, b"\xff"),
    (datetime, datetime(2025, 1, 1, tzinfo=UTC)),
    (timedelta, timedelta(days=-1, microseconds=1)),
    (Decimal, Decimal("1.10")),
    (UUID, UUID(int=1)),
    (Path, Path("/a")),
    (HttpUrl, HttpUrl("http://a/")),
    (Color, Color.RED),
    (Color, Color.ODD),
    (Rights, Rights.READ | Rights.WRITE),
    (Literal["a", 1], 1),
    (list, [1, (2,), datetime(2025, 1, 1)]),
    (dict, {"at": datetime(2025, 1, 1)}),
    (dict, {1: 2}),
    (tuple, (1, [2])),
    (dict, {"$": 1}),
    (dict[str, int], {"$": 1}),
    (dict[int, str], {1: "a"}),
    (dict[float, Color], {1.5: Color.RED}),
    (dict[tuple[int, int], str], {(1, 2): "x"}),
    (set[str], {"a", "b"}),
    (frozenset[int], frozenset({1})),
    (tuple[int, ...], (1, 2)),
    (Pair, Pair(1, "x")),
    (Row, {"id": 1, "name": "x"}),
    (deque[int], deque([1])),
    (defaultdict[str, int], defaultdict(int, a=1)),
    (OrderedDict[str, int], OrderedDict(b=1, a=2)),
    (Sequence[int], (1, 2)),
    (Sequence[int], [1, 2]),
    (Mapping[str, Any], {"x": 1.0}),
    (Iterable[int], [1, 2]),
    (object, (1,)),
    (int | str, "5"),
    (str | int, 5),
    (float | int, 5),
    (int | float, 5.0),
    (float | None, math.nan),
    (date | datetime, datetime(2025, 1, 1)),
    (Animal, Animal(name="a")),
    (Animal, Dog(name="a", breed="b")),
    (list[Animal], [Animal(name="a"), Dog(name="b")]),
    (Animal | Cat, Cat(name="x")),
    (Cat | Animal, Animal(name="x")),
    (Animal | None, None),
    (BaseModel, Dog(name="x")),
    (Aliased, Aliased(orderId="1", sum=2)),
    (Swapped, Swapped(b=1, a=2)),
    (Hiding, Hiding(shown=1, hidden="x")),
    (Private, Private(n=1)),
    (Computed, Computed(side=2)),
    (Open, Open(n=1, more=Decimal("1.0"))),
    (Rounding, Rounding(price=Decimal("1.25"))),
    (Names, Names(["a"])),
    (Box[int], Box[int](content=1)),
    (Box[Dog], Box[Dog](content=Dog(name="x"))),
    (Literally, Literally(x=math.inf)),
    (Loose, Loose(data=(1, {2: b"\xff"}))),
    (Loose, Loose(data="$", when=datetime(2025, 1, 1, tzinfo=UTC))),
    (Point, Point(1.0, "y")),
    (Point, Point(math.inf, (1,))),
    (Sum, Sum((1, 2))),
    (Annotated[str, AfterValidator(str.upper)], "UP"),
]


@pytest.mark.parametrize(("hint", "value"), ANNOTATED, ids=short)
def test_an_annotated_value_comes_back_identical(hint: Any, value: Any) -> None:
    got = back(value, hint)
    assert identical(got, value)


@pytest.mark.parametrize(
    ("hint", "value", "text"),
    [
        (datetime, datetime(2025, 1, 1, tzinfo=UTC), '"2025-01-01T00:00:00Z"'),
        (Color, Color.RED, '"red"'),
        (set[int], {1}, "[1]"),
        (dict[int, str], {1: "a"}, '{"1":"a"}'),
        (list[Animal], [Animal(name="a")], '[{"name":"a"}]'),
        (Aliased, Aliased(orderId="1", sum=2), '{"order_id":"1","total":2}'),
        (Animal, Animal(name="$"), '{"name":"$"}'),
        (Point, Point(1.0), '{"x":1.0,"y":null}'),
        (Computed, Computed(side=2), '{"side":2}'),
    ],
)
def test_an_annotated_value_is_stored_without_tags(hint: Any, value: Any, text: str) -> None:
    assert codec(hint).encode(value) == text


MISFITS: list[tuple[Any, Any]] = [
    (int, "5"),
    (int, 5.0),
    (str, 5),
    (bool, 1),
    (datetime, "2025-01-01"),
    (date, datetime(2025, 1, 1)),
    (float, "1"),
    (float, 2**53 + 1),
    (float, True),
    (list[int], (1, 2)),
    (list[int], [1, "2"]),
    (tuple[int, ...], [1]),
    (set[int], [1]),
    (Animal, Cat(name="x")),
    (None, 0),
    (int, None),
    (Color, "red"),
    (Decimal, 1),
    (bytes, "x"),
    (dict[int, int], {"1": 1}),
    (dict[str, int], {"a": "1"}),
    (Row, {"id": 1}),
    (Row, {"id": 1, "name": "x", "more": 1}),
    (Annotated[str, AfterValidator(str.upper)], "low"),
    (dict[Mode, int], {"fast": 1}),
]


@pytest.mark.parametrize(("hint", "value"), MISFITS, ids=short)
def test_a_value_that_the_annotation_would_have_to_change_is_refused(hint: Any, value: Any) -> None:
    assert "the annotation says" in refusal(value, hint)


def test_the_refusal_says_what_was_returned_where_and_what_the_annotation_says() -> None:
    message = refusal({"a": [1, "2"]}, dict[str, list[int]])
    assert "the str at `.a[1]` would come back as int" in message
    assert "the annotation says dict[str, list[int]]" in message


def test_a_dict_that_fits_the_model_becomes_the_model() -> None:
    assert identical(back({"name": "x"}, Animal), Animal(name="x"))
    assert identical(back([{"name": "x"}], list[Animal]), [Animal(name="x")])


def test_what_a_type_checker_accepts_is_accepted() -> None:
    assert identical(back(5, float), 5.0)
    assert identical(back([1, 2.5], list[float]), [1.0, 2.5])
    assert identical(back(OrderedDict(a=1), dict[str, int]), {"a": 1})
    assert back(True, int) == 1
    assert back({"name": "x", "id": 1}, Row) == {"name": "x", "id": 1}
    assert back(Mode.FAST, str) == "fast"
    assert back(Level.LOW, int) == 1


def test_a_value_and_its_replay_are_the_same_whatever_was_coerced() -> None:
    used = codec(float)
    first = used.decode(used.encode(5))
    assert identical(used.decode(used.encode(first)), first)


def test_a_model_that_its_own_validators_change_is_never_silently_changed() -> None:
    class Louder(BaseModel):
        text: str

        @field_validator("text")
        @classmethod
        def louder(cls, text: str) -> str:
            return text + "!"

    message = refusal(Louder(text="hey"), Louder)
    assert "`.text`" in message
    assert "changed" in message
    seen = Private(n=1)
    seen._seen.append(1)
    assert "`._seen`" in refusal(seen, Private)
    assert "SecretStr" in refusal(SecretStr("x"), SecretStr)


def test_unions_of_equal_members_in_another_order_have_codecs_of_their_own() -> None:
    assert codec(Animal | Cat) is not codec(Cat | Animal)
    assert codec(Animal | Cat) is codec(Animal | Cat)


def test_hints_without_a_schema_count_as_no_annotation() -> None:
    for hint in (Opaque, list[Opaque], T, Any, object, Iterator[int], 5, "Missing", Self):
        assert identical(back((1, "x"), hint), (1, "x"))
        assert "Opaque" in refusal(Opaque(), hint)


def test_an_unhashable_hint_works() -> None:
    assert back({"a": 1}, Annotated[dict[str, int], {"un": "hashable"}]) == {"a": 1}


# The function's annotation


def encodes_as(fn: Callable[..., Any], value: Any) -> str:
    return codec_of(fn).encode(value)


TODAY = date(2025, 1, 1)
TYPED, TAGGED = '"2025-01-01"', '{"$":"date","v":"2025-01-01"}'


class Service:
    def method(self) -> date: ...

    @classmethod
    def of_class(cls) -> date: ...

    @staticmethod
    def of_nobody() -> date: ...

    def __call__(self) -> date: ...


def plain() -> date: ...
async def asynchronous() -> date: ...
def awaitable() -> Awaitable[date]: ...
def coroutine() -> Coroutine[Any, Any, date]: ...
def unresolvable_parameter(x: Missing) -> date: ...  # type: ignore[name-defined]  # noqa: F821
def unresolvable() -> Missing: ...  # type: ignore[name-defined]  # noqa: F821
def unannotated(): ...  # type: ignore[no-untyped-def]
def generic(x: T) -> T: ...


@functools.wraps(plain)
def wrapper(*args: Any) -> Any: ...


@pytest.mark.parametrize(
    "fn",
    [
        plain,
        asynchronous,
        awaitable,
        coroutine,
        unresolvable_parameter,
        wrapper,
        Service().method,
        Service.of_class,
        Service.of_nobody,
        Service(),
        functools.partial(plain),
        functools.partial(functools.partial(Service().method), 1),
        functools.lru_cache(plain),
        date,
    ],
)
def test_the_annotation_is_found(fn: Callable[..., Any]) -> None:
    assert encodes_as(fn, TODAY) == TYPED
    assert codec_of(fn) is codec_of(fn)


@pytest.mark.parametrize(
    "fn", [unresolvable, unannotated, generic, lambda: 1, len, dict.get, list[int], "x".join]
)
def test_without_a_usable_annotation_values_are_tagged(fn: Callable[..., Any]) -> None:
    assert encodes_as(fn, TODAY) == TAGGED


def test_a_none_annotation_accepts_none_alone() -> None:
    def nothing() -> None: ...

    assert encodes_as(nothing, None) == "null"
    with pytest.raises(SerializationError, match="NoneType"):
        encodes_as(nothing, 1)


def test_a_local_class_is_found_through_the_closure() -> None:
    class Local(BaseModel):
        n: int

    def make() -> Local:
        return Local(n=1)

    assert encodes_as(make, make()) == '{"n":1}'
    assert codec_of(make).decode('{"n":1}') == make()


def test_codecs_do_not_keep_functions_alive() -> None:
    import gc
    import weakref

    def passing() -> int: ...

    codec_of(passing)
    gone = weakref.ref(passing)
    del passing
    gc.collect()
    assert gone() is None


# Reading


def test_old_text_is_read_after_a_field_with_a_default_was_added() -> None:
    assert codec(Dog).decode('{"name":"x"}') == Dog(name="x")
    assert codec().decode(f'{{"$":"model","c":"{__name__}:Dog","v":{{"name":"x"}}}}') == Dog(name="x")
    assert codec().decode(f'{{"$":"dataclass","c":"{__name__}:Point","v":{{"x":1.5,"gone":2}}}}') == Point(
        1.5
    )
    assert codec(Aliased).decode('{"orderId":"1","sum":2}') == Aliased(orderId="1", sum=2)


HOSTILE = [
    "",
    "x",
    "{",
    "NaN",
    "[Infinity]",
    "[" * 100_000,
    "[" * 5000 + "]" * 5000,
    '{"a":' * 5000 + "1" + "}" * 5000,
    "1" * 5000,
    '"\\ud800"',
    '"\ud800"',
    '{"$":"new","v":1}',
    '{"$":"datetime"}',
    '{"$":"datetime","v":"x"}',
    '{"$":"date","v":5}',
    '{"$":[],"v":1}',
    '{"$":null,"v":[]}',
    '{"$":"dict","v":[[1]]}',
    '{"$":"dict","v":{"a":1}}',
    '{"$":"dict","v":[[[],1]]}',
    '{"$":"set","v":[[]]}',
    '{"$":"tuple","v":"ab"}',
    '{"$":"bytes","v":"?"}',
    '{"$":"decimal","v":"x"}',
    '{"$":"uuid","v":[1]}',
    '{"$":"timedelta","v":"x"}',
    '{"$":"datetime","v":"2025-01-01","z":"../../etc/passwd"}',
    '{"$":"datetime","v":"2025-01-01","z":"America"}',
    '{"$":"date","v":"2025-01-01","z":"UTC"}',
    '{"$":"enum","c":"os:system","v":"true"}',
    '{"$":"model","c":"subprocess:Popen","v":{"args":"true"}}',
    '{"$":"dataclass","c":"builtins:dict","v":{}}',
    '{"$":"enum","c":"nowhere:X","v":1}',
    '{"$":"enum","c":"","v":1}',
    '{"$":"enum","c":5,"v":1}',
    '{"$":"enum","v":1}',
    '{"$":"enum","c":".x:Y","v":1}',
    f'{{"$":"enum","c":"{__name__}:Color","v":"blue"}}',
    f'{{"$":"enum","c":"{__name__}:Animal","v":"blue"}}',
    f'{{"$":"member","c":"{__name__}:Color","v":[]}}',
    f'{{"$":"model","c":"{__name__}:Animal","v":[]}}',
    f'{{"$":"model","c":"{__name__}:Animal","v":{{}}}}',
    f'{{"$":"model","c":"{__name__}:Names","v":{{}}}}',
    f'{{"$":"dataclass","c":"{__name__}:Point","v":{{}}}}',
    f'{{"$":"dataclass","c":"{__name__}:Point","v":3}}',
    '{"$":"tuple","v":[' * 900 + "]}" * 900,
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:40].encode("ascii", "replace").decode())
@pytest.mark.parametrize("hint", [UNKNOWN, Animal, dict[str, int]])
def test_hostile_text_is_a_serialization_error(text: str, hint: Any) -> None:
    with pytest.raises(SerializationError):
        codec(hint).decode(text)


def test_nothing_that_a_name_leads_to_is_called() -> None:
    with pytest.raises(SerializationError, match="is no dataclass"):
        codec().decode(f'{{"$":"dataclass","c":"{__name__}:trap","v":{{}}}}')


def trap(**_: Any) -> None:
    pytest.fail("called")


@given(
    st.text()
    | st.recursive(
        st.none() | st.text(max_size=3) | st.sampled_from(["tuple", "dict", "enum", "model"]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["$", "v", "c"]), inner),
    ).map(json.dumps)
)
@settings(max_examples=40, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    for used in (codec(), codec(Animal), codec(list[Any])):
        try:
            used.decode(text)
        except SerializationError:
            pass
    try:
        json.dumps(to_plain(text), allow_nan=False)
    except SerializationError:
        pass


# For people


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (datetime(2025, 1, 1, tzinfo=UTC), "2025-01-01T00:00:00+00:00"),
        (datetime(2025, 1, 1, tzinfo=PARIS), "2025-01-01T00:00:00+01:00"),
        (timedelta(days=3), "P3D"),
        ((1, {2}), [1, [2]]),
        (Point(1, Dog(name="x")), {"x": 1, "y": {"name": "x", "breed": "mutt"}}),
        (Decimal("1.0"), "1.0"),
        (b"abc", "YWJj"),
        ([Color.RED, Color.ODD, Level.LOW], ["red", "ODD", 1]),
        (
            {1: "a", None: "b", (1, 2): "c", TODAY: "d"},
            {"1": "a", "null": "b", "[1,2]": "c", '"2025-01-01"': "d"},
        ),
        ({"$": 1}, {"$": 1}),
        (math.nan, "nan"),
        ({"a": [1, None]}, {"a": [1, None]}),
    ],
)
def test_people_see_plain_values(value: Any, plain: Any) -> None:
    assert to_plain(codec().encode(value)) == plain


def test_people_see_what_needs_code_that_is_gone() -> None:
    assert to_plain('{"$":"model","c":"gone:X","v":{"a":{"$":"enum","c":"gone:Y","v":2}}}') == {"a": 2}
    assert to_plain('{"$":"dict","v":[[1]]}') == [[1]]
    for text in ("{", "[" * 100_000):
        with pytest.raises(SerializationError):
            to_plain(text)


def test_a_fingerprint_tells_values_apart_and_equal_ones_not() -> None:
    assert fingerprint([1, {"a": 1, "b": {2, 3}}]) == fingerprint([1, {"b": {3, 2}, "a": 1}])
    assert fingerprint([object(), Opaque()]) == fingerprint([object(), Opaque()])
    different = [[], [1], ["1"], [1.0], [1, 2], [2, 1], [[1, 2]], [Opaque()], [object()], [Point(1)], [None]]
    assert len({fingerprint(values) for values in different}) == len(different)
    assert all(len(fingerprint(values)) == 16 for values in different)
    assert fingerprint(iter([1])) == fingerprint([1])
    assert fingerprint(["\ud800"]) == fingerprint(["\udfff"])


def test_byte_length_is_that_of_utf_8() -> None:
    assert [byte_length(text) for text in ("", "abc", "é", "🎈")] == [0, 3, 2, 4]


# Properties

offsets = st.integers(-86399, 86399).map(lambda seconds: timezone(timedelta(seconds=seconds)))
zones = (
    st.none()
    | st.just(UTC)
    | offsets
    | st.sampled_from([PARIS, ZoneInfo("America/New_York"), ZoneInfo("UTC")])
)
texts = st.text(st.characters(codec="utf-8"), max_size=8) | st.just("$")
hashables = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    texts,
    st.binary(max_size=5),
    st.dates(),
    st.uuids(),
    st.timedeltas(),
    st.floats(allow_nan=False),
    st.decimals(allow_nan=False),
    st.sampled_from([*Color, *Level, *Mode, *Rights]),
)
leaves = st.one_of(
    hashables, st.floats(), st.decimals(), st.times(), st.datetimes(timezones=zones, allow_imaginary=False)
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(texts, inner, max_size=4),
        st.dictionaries(hashables, inner, max_size=3),
        st.tuples(inner, inner),
        st.sets(hashables, max_size=3),
        st.frozensets(hashables, max_size=3),
        st.builds(Point, st.floats(), inner),
        st.builds(Loose, data=inner, when=st.none() | st.datetimes()),
        st.builds(Open, n=st.integers(), more=inner),
    ),
    max_leaves=8,
)


@given(values)
@settings(max_examples=50, deadline=None)
def test_any_data_without_annotation_comes_back_identical(value: Any) -> None:
    assert identical(back(value), value)
    json.dumps(to_plain(codec().encode(value)), allow_nan=False)
    assert fingerprint([value]) == fingerprint([back(value)])


class Everything(BaseModel):
    text: str
    number: int | float
    maybe: Decimal | None
    when: datetime
    spans: list[timedelta]
    table: dict[int, tuple[str, bool]]
    kinds: frozenset[Mode]
    blob: bytes
    point: Point
    inner: Everything | None = None


datetimes = st.datetimes(timezones=zones, allow_imaginary=False)
everything = st.builds(
    Everything,
    text=texts,
    number=st.integers() | st.floats(),
    maybe=st.none() | st.decimals(allow_nan=False, allow_infinity=False),
    when=datetimes,
    spans=st.lists(st.timedeltas(), max_size=2),
    table=st.dictionaries(st.integers(), st.tuples(texts, st.booleans()), max_size=2),
    kinds=st.frozensets(st.sampled_from(Mode)),
    blob=st.binary(max_size=6),
    point=st.builds(Point, st.floats(), leaves),
    inner=st.none(),
)


@given(everything, everything)
@settings(max_examples=20, deadline=None)
def test_any_annotated_model_comes_back_identical(outer: Everything, inner: Everything) -> None:
    outer.inner = inner
    assert identical(back(outer, Everything), outer)
    assert identical(back([outer], list[Everything | Row]), [outer])
    assert identical(back(outer), outer)


@given(
    values,
    st.sampled_from(
        [int, str, float, list, dict, dict[str, Any], list[int], tuple, Any, Point, Loose, int | str | None]
    ),
)
@example({"$": Decimal("sNaN")}, dict)
@settings(max_examples=50, deadline=None)
def test_a_value_meets_its_annotation_or_is_refused(value: Any, hint: Any) -> None:
    try:
        got = back(value, hint)
    except SerializationError:
        return
    assert identical(got, value) or got == value  # in this order: a signaling nan refuses to be compared
    assert identical(back(got, hint), got)
