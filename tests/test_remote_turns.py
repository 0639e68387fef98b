"""Whole turns through a server that fails: the approved answer is said in time, and nothing is lost."""

from __future__ import annotations

import time
from typing import Any

import pytest

from bot.core import events as ev
from bot.core.errors import SkillError
from bot.wording import Manner, Wording
from skills.remote_generator import RemoteGenerator
from skills.speaking import Chain, supported
from tests.fakes import MemoryStore, Shelf, managing, models, program, tell
from tests.skills.strange import DONE, KEY, Respond, Strange, saying, strange, then_silent

APPROVED = "Thirty days."
SOON: dict[str, Any] = {"first_s": 0.1, "between_s": 0.1, "total_s": 0.3, "retries": 1}


async def turn(generator: RemoteGenerator) -> tuple[list[str], ev.Generated]:
    """What is said to a question, and the fact of its wording."""
    worded = program().model_copy(update={"generates": True})
    word = Wording(generator, Chain([("support", supported)]), Manner(deadline=20.0)).word
    store = MemoryStore()
    async with managing(store, models(program=worded, retrieve=Shelf(), generate=word)) as manager:
        said = await tell(manager, "returns?")
    facts = [recorded.event for recorded in store.log]
    assert sum(isinstance(fact, ev.Settled) for fact in facts) == 1
    return said, next(fact for fact in facts if isinstance(fact, ev.Generated))


async def test_a_good_server_words_the_answer() -> None:
    async with strange(saying("You have", " thirty days.", DONE)) as (_, generator):
        said, found = await turn(generator)
    assert (said, found.fallback) == (["You have thirty days."], "")
    assert found.model == generator.id


BAD: dict[str, Respond] = {
    "hangs": then_silent(),
    "hangs_midway": then_silent("You have thirty"),
    "closes_midway": saying("You have thirty days. And"),
    "garbage": saying(b"data: {oops\n\n"),
    "half_a_character": saying(b'data: {"choices": [{"delta": {"content": "caf\xc3\n\n'),
    "endless_line": saying(b"data: " + b"a" * 70_000, b"a" * 70_000),
    "endless_text": saying("thirty " * 5_000),
    "drips": saying(*["days "] * 400),
    "nothing": saying(DONE),
    "invents": saying("You have ninety days.", DONE),
}


@pytest.mark.parametrize("case", BAD)
async def test_a_bad_server_costs_some_time_and_no_answer(case: str) -> None:
    async with strange(BAD[case], **SOON) as (_, generator):
        began = time.monotonic()
        said, found = await turn(generator)
        assert time.monotonic() - began < 10  # the deadlines are far below; a busy machine is not
    assert said == [APPROVED] and found.fallback and not found.text


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
async def test_a_server_that_refuses_is_the_same(status: int) -> None:
    async with strange(saying(DONE), **SOON) as (server, generator):
        server.statuses = [status] * 5
        said, found = await turn(generator)
    assert (said, found.fallback) == ([APPROVED], "failed")
    assert KEY not in found.model_dump_json()


async def test_a_server_that_comes_back_is_used_again() -> None:
    async with strange(saying("You have thirty days.", DONE), retries=0) as (server, generator):
        server.statuses = [500]
        assert (await turn(generator))[0] == [APPROVED]
        assert (await turn(generator))[0] == ["You have thirty days."]


async def test_a_check_at_the_start_says_what_is_wrong() -> None:
    server = Strange(saying())
    async with strange(server.respond, base_url="http://127.0.0.1:9/v1", **SOON) as (_, generator):
        with pytest.raises(SkillError, match=r"127\.0\.0\.1:9/v1 does not answer"):
            await generator.check()
