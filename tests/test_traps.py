"""The traps of talking Rasa's protocols: what each one is, and that a test named after it stands beside what it tries.

The tests themselves are where their subject is: in tests/connectors, tests/server, tests/sdk, tests/skills and
tests/core. Their names begin with `test_trap_` and the number.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TRAPS = {
    1: "JSON bodies that call themselves text/plain",
    2: "an action server that answers 449 until it has the domain",
    3: "an action server that answers `null` with status 200",
    4: "an action server's 400 without the name of an action",
    5: "lines of JSON, not server-sent events, for Rasa's clients of `?stream=true`",
    6: "a session confirmed by its bare id, or by an object",
    7: 'custom content as {"data": ...}, and plain',
    8: "payloads /book{...} and /book{{...}}",
    9: "the same entity found twice on one span",
    10: "a domain asked for with Accept: */*",
    11: "JSON whose type names a charset",
    12: "a delivery that comes again under a known id, and under a new one",
    13: "a message that is delivered twice",
    14: "messages without a sender",
    15: "conversation ids with slashes",
    16: "several extractors on one span, told in a story",
    17: "events whose time is null",
    18: "whole numbers that gRPC makes floats",
    19: "an empty answer, which must say so",
}


def named_tests() -> list[str]:
    """All tests of the project by name."""
    files = Path(__file__).parent.rglob("test_*.py")
    return [
        name for path in files for name in re.findall(r"^(?:async )?def (test_\w+)\(", path.read_text("utf-8"), re.M)
    ]


@pytest.fixture(scope="module")
def names() -> list[str]:
    return named_tests()


@pytest.mark.parametrize("number", TRAPS, ids=[f"{number} {what}" for number, what in TRAPS.items()])
def test_every_trap_has_a_test_that_bears_its_number(number: int, names: list[str]) -> None:
    assert any(name.startswith(f"test_trap_{number}_") for name in names)


def test_no_test_bears_a_number_that_is_no_trap(names: list[str]) -> None:
    numbers = {int(name.split("_")[2]) for name in names if name.startswith("test_trap_")}
    assert numbers == set(TRAPS)
