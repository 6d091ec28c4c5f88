"""DynamoDB's expressions, as far as the library's own go: conditions, key conditions and updates."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

Item = dict[str, Any]
Values = dict[str, Any]
Test = Callable[[Item, Values], bool]
Operand = Callable[[Item, Values], Any]

_TOKEN = re.compile(r"\s*(<>|<=|>=|[-+=<>(),]|:?#?[\w.]+)")

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a is not None and a < b,
    "<=": lambda a, b: a is not None and a <= b,
    ">": lambda a, b: a is not None and a > b,
    ">=": lambda a, b: a is not None and a >= b,
}


def plain(value: Any) -> Any:
    """An attribute's value as one that compares as DynamoDB's does; None for none."""
    if value is None:
        return None
    ((kind, content),) = value.items()
    if kind == "N":
        return float(content)
    return set(content) if kind in ("SS", "NS") else content


def names_of(text: str, names: dict[str, str]) -> str:
    """An expression with its placeholders for names replaced."""
    return re.sub(r"#\w+", lambda found: names[found[0]], text)


@cache
def condition(text: str) -> Test:
    """What tests an item, with values for the placeholders."""
    parser = _Parser(text)
    test = parser.any_of()
    parser.end()
    return test


@cache
def update(text: str) -> Callable[[Item, Values], None]:
    """What changes an item, as SET, REMOVE, ADD and DELETE say."""
    parser = _Parser(text)
    changes = list(parser.changes())

    def apply(item: Item, values: Values) -> None:
        found = [(name, change(item, values)) for name, change in changes]
        for name, value in found:
            if value is None:
                item.pop(name, None)
            else:
                item[name] = value

    return apply


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = _TOKEN.findall(text)
        if "".join(self._tokens) != re.sub(r"\s", "", text):
            raise ValueError(f"what does {text!r} mean?")
        self._at = 0

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        self._at += 1
        return str(self._tokens[self._at - 1])

    def _take(self, token: str) -> bool:
        if self._peek().upper() != token:
            return False
        self._at += 1
        return True

    def _expect(self, token: str) -> None:
        if not self._take(token):
            raise ValueError(f"expected {token}, and found {self._peek()!r}")

    def end(self) -> None:
        if self._peek():
            raise ValueError(f"what is {self._peek()!r}?")

    # -- conditions

    def any_of(self) -> Test:
        tests = [self._all_of()]
        while self._take("OR"):
            tests.append(self._all_of())
        return lambda item, values: any(test(item, values) for test in tests)

    def _all_of(self) -> Test:
        tests = [self._one()]
        while self._take("AND"):
            tests.append(self._one())
        return lambda item, values: all(test(item, values) for test in tests)

    def _one(self) -> Test:
        if self._take("NOT"):
            inner = self._one()
            return lambda item, values: not inner(item, values)
        if self._take("("):
            inner = self.any_of()
            self._expect(")")
            return inner
        if self._peek() in ("attribute_exists", "attribute_not_exists"):
            wanted = self._next() == "attribute_exists"
            (name,) = self._arguments()
            return lambda item, _: (name in item) is wanted
        if self._peek() in ("begins_with", "contains"):
            return self._text_test(self._next())
        return self._comparison()

    def _arguments(self) -> list[str]:
        self._expect("(")
        found = [self._next()]
        while self._take(","):
            found.append(self._next())
        self._expect(")")
        return found

    def _text_test(self, name: str) -> Test:
        whole, part = map(_operand, self._arguments())
        if name == "begins_with":
            return lambda item, values: str(whole(item, values) or "").startswith(part(item, values))
        return lambda item, values: part(item, values) in (whole(item, values) or ())

    def _comparison(self) -> Test:
        left = self._operand()
        if self._take("BETWEEN"):
            low = self._operand()
            self._expect("AND")
            high = self._operand()
            return lambda item, values: low(item, values) <= left(item, values) <= high(item, values)
        if self._take("IN"):
            several = [_operand(name) for name in self._arguments()]
            return lambda item, values: left(item, values) in [each(item, values) for each in several]
        compare, right = _COMPARE[self._next()], self._operand()
        return lambda item, values: compare(left(item, values), right(item, values))

    def _operand(self) -> Operand:
        if self._peek() != "size":
            return _operand(self._next())
        self._next()
        (name,) = self._arguments()
        return lambda item, _: len(plain(item[name])) if name in item else None

    # -- updates

    def changes(self) -> Iterator[tuple[str, Operand]]:
        while self._peek():
            clause = self._next().upper()
            while True:
                name = self._next()
                yield name, self._change(clause, name)
                if not self._take(","):
                    break

    def _change(self, clause: str, name: str) -> Operand:
        if clause == "REMOVE":
            return lambda *_: None
        if clause == "SET":
            self._expect("=")
            return self._sum()
        value = self._next()
        if clause == "ADD":
            return lambda item, values: _added(item.get(name), values[value])
        return lambda item, values: _without(item.get(name), values[value])

    def _sum(self) -> Operand:
        left = self._term()
        if self._peek() not in ("+", "-"):
            return left
        sign, right = (1 if self._next() == "+" else -1), self._term()

        def added(item: Item, values: Values) -> Any:
            number = plain(left(item, values)) + sign * plain(right(item, values))
            return {"N": f"{number:g}" if number % 1 else str(int(number))}

        return added

    def _term(self) -> Operand:
        if self._peek() == "if_not_exists":
            self._next()
            name, other = self._arguments()
            return lambda item, values: item.get(name) or _raw(other)(item, values)
        if self._peek() == "list_append":
            self._next()
            first, second = map(_raw, self._arguments())
            return lambda item, values: {"L": first(item, values)["L"] + second(item, values)["L"]}
        return _raw(self._next())


def _raw(name: str) -> Operand:
    return (lambda _, values: values[name]) if name.startswith(":") else (lambda item, _: item.get(name))


def _operand(name: str) -> Operand:
    raw = _raw(name)
    return lambda item, values: plain(raw(item, values))


def _added(old: Any, new: Any) -> Any:
    if "N" in new:
        return {"N": str(int(plain(old or {"N": "0"}) + plain(new)))}
    ((kind, content),) = new.items()
    return {kind: sorted({*(plain(old) or ()), *content})}


def _without(old: Any, gone: Any) -> Any:
    ((kind, content),) = gone.items()
    left = sorted({*(plain(old) or ())} - {*content})
    return {kind: left} if left else None
