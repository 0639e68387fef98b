"""Conditions over slots, in the notation of Rasa's flows.

    slots.amount > 100 and not (slots.country = "DE" or slots.vip)
    slots.order_id matches "^[0-9]{5}$"       slots.note is null       slots.size is not null

Grammar, lowest binding first: `or`, `and`, `not`, comparison (`= == != < <= > >= matches`, `not matches`,
`contains`, `is null`, `is not null`), then a value: a quoted string, a number, `true`, `false`, `null`, `slots.NAME`.
Evaluation never fails: comparing values of different kinds is false.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, JsonValue

from bot.core.errors import ProjectError

Slots = Mapping[str, JsonValue]
Evaluator = Callable[[Slots], JsonValue]

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>-?\d+(?:\.\d+)?)(?![\w.])|(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
    r"""|(?P<op><=|>=|!=|==|[=<>()])|(?P<name>[A-Za-z_][\w.]*))""",
)
_WORDS = {"true": True, "false": False, "null": None, "none": None}
_MAX_DEPTH = 50
_MAX_SUBJECT = 4000
"""Longest text, in characters, that `matches` looks at: bounds the cost of an unlucky pattern."""


@lru_cache(maxsize=4096)
def parse(text: str) -> Evaluator:
    """Turn a condition into a function of the slots.

    Raises:
        ProjectError: the text is not a condition; says where it stopped making sense.
    """
    parser = _Parser(text)
    evaluator = parser.either()
    if parser.token != "":
        raise parser.error("the end of the condition")
    return evaluator


def _checked(text: str) -> str:
    parse(text)
    return text


Condition = Annotated[str, AfterValidator(_checked)]
"""A condition that is known to parse."""


def holds(condition: str | None, slots: Slots) -> bool:
    """Whether the condition is true of the slots; no condition is always true."""
    return condition is None or bool(parse(condition)(slots))


def slot_names(condition: str) -> tuple[str, ...]:
    """The slots that a condition looks at, in order of appearance."""
    bare = re.sub(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""", "", condition)
    return tuple(dict.fromkeys(re.findall(r"\bslots\.(\w+)", bare)))


class _Parser:
    """Recursive descent over one condition."""

    def __init__(self, text: str) -> None:
        self.text, self.position, self.token, self.kind, self.depth = text, 0, "", "", 0
        self.advance()

    def error(self, expected: str) -> ProjectError:
        found = repr(self.token) if self.token else "the end"
        return ProjectError(f"condition {self.text!r}: expected {expected}, found {found}")

    def advance(self) -> str:
        previous = self.token
        rest = self.text[self.position :].strip()
        if not rest:
            self.token, self.kind = "", ""
            return previous
        match = _TOKEN.match(self.text, self.position)
        if match is None:
            self.token = rest
            raise self.error('a name, a number, a "string" or an operator')
        self.kind = match.lastgroup or ""
        self.token, self.position = match.group(self.kind), match.end()
        return previous

    def accept(self, *words: str) -> str:
        """Take the token if it is one of these words (not a string); return it in lower case, else ""."""
        if self.kind in ("name", "op") and self.token.lower() in words:
            return self.advance().lower()
        return ""

    def either(self) -> Evaluator:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self.error(f"at most {_MAX_DEPTH} parentheses: this is nested too deep,")
        options = [self.both()]
        while self.accept("or"):
            options.append(self.both())
        return options[0] if len(options) == 1 else lambda slots: any(option(slots) for option in options)

    def both(self) -> Evaluator:
        parts = [self.negation()]
        while self.accept("and"):
            parts.append(self.negation())
        return parts[0] if len(parts) == 1 else lambda slots: all(part(slots) for part in parts)

    def negation(self) -> Evaluator:
        turned = False
        while self.accept("not"):
            turned = not turned
        inner = self.comparison()
        return (lambda slots: not inner(slots)) if turned else inner

    def comparison(self) -> Evaluator:
        left = self.value()
        if self.accept("is"):
            wanted = not self.accept("not")
            if not self.accept("null", "none", "empty"):
                raise self.error("null")
            return lambda slots: _empty(left(slots)) is wanted
        negated = bool(self.accept("not"))
        operator = self.accept("=", "==", "!=", "<", "<=", ">", ">=", "matches", "contains")
        if not operator:
            if negated:
                raise self.error("matches or contains")
            return left
        right = self.pattern() if operator == "matches" and self.kind == "string" else self.value()
        return lambda slots: _compare(operator, left(slots), right(slots)) is not negated

    def pattern(self) -> Evaluator:
        """A regular expression written out: checked now, not when a customer meets it."""
        text = self.token[1:-1]
        try:
            re.compile(text)
        except re.error:
            raise self.error("a regular expression") from None
        return self.value()

    def value(self) -> Evaluator:
        if self.accept("("):
            inner = self.either()
            if not self.accept(")"):
                raise self.error("')'")
            return inner
        kind, token = self.kind, self.token
        if kind == "string":
            self.advance()
            return _constant(re.sub(r"""\\(["'])""", r"\1", token[1:-1]))
        if kind == "number":
            self.advance()
            return _constant(float(token))
        if kind == "name":
            return self.name(token)
        raise self.error("a value")

    def name(self, token: str) -> Evaluator:
        if token.lower() in _WORDS:
            self.advance()
            return _constant(_WORDS[token.lower()])
        scope, _, slot = token.partition(".")
        if scope != "slots" or not slot:
            raise self.error('slots.NAME, a number or a "quoted string"')
        self.advance()
        return lambda slots: slots.get(slot)


def _constant(value: JsonValue) -> Evaluator:
    return lambda slots: value


def _empty(value: JsonValue) -> bool:
    return value is None or value == "" or value == []


def _compare(operator: str, left: JsonValue, right: JsonValue) -> bool:
    if operator in ("=", "=="):
        return _same(left, right)
    if operator == "!=":
        return not _same(left, right)
    if operator == "matches":
        return _matches(left, right)
    if operator == "contains":
        return _contains(left, right)
    return _ordered(operator, left, right)


def _same(left: JsonValue, right: JsonValue) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left.casefold() == right.casefold()
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return left == right


def _matches(left: JsonValue, right: JsonValue) -> bool:
    if isinstance(left, int | float) and not isinstance(left, bool):
        left = f"{left:g}"
    if not isinstance(left, str) or not isinstance(right, str):
        return False
    try:
        return re.search(right, left[:_MAX_SUBJECT]) is not None
    except re.error:
        return False


def _contains(left: JsonValue, right: JsonValue) -> bool:
    if isinstance(left, list):
        return right in left
    return isinstance(left, str) and isinstance(right, str) and right.casefold() in left.casefold()


def _ordered(operator: str, left: JsonValue, right: JsonValue) -> bool:
    first, second = _number(left), _number(right)
    if first is None or second is None:
        return False
    return {"<": first < second, "<=": first <= second, ">": first > second, ">=": first >= second}[operator]


def _number(value: JsonValue) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None
