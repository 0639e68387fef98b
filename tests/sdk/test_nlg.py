"""Responses worded by another server, and what is said when it fails."""

from __future__ import annotations

import json

import pytest

from bot.core.errors import SkillError
from bot.core.messages import Choices, Custom, Image, Text
from bot.core.program import Program, Variation
from bot.core.protocols import ActionResult, Worded, Wording
from bot.manager import ManagerLimits
from bot.models import Deadlines
from bot.sdk.choose import spoken_for
from bot.sdk.nlg import NlgServer
from tests import fakes
from tests.sdk.serving import PROGRAM, Answers, answering, call, history

HELLO = (200, '{"text": "Servus!"}')


def wording(**values: str) -> Wording:
    told = call().history
    assert told is not None
    return Wording("utter_hi", values, "c", "rest", told)


async def test_the_request_is_rasas() -> None:
    async with answering(HELLO) as (answers, endpoint):
        server = NlgServer(endpoint, PROGRAM)
        assert await server.word(wording(name="Bob")) == (Text(text="Servus!"),)
        await server.close()
    body = answers.asked[0].body
    assert list(body) == ["response", "id", "arguments", "tracker", "channel"]
    assert (body["response"], body["id"], body["arguments"]) == ("utter_hi", None, {"name": "Bob"})
    assert body["channel"] == {"name": "rest"} and body["tracker"]["sender_id"] == "c"
    assert len(body["tracker"]["events"]) > len(history()) - 3


async def test_all_that_an_answer_may_hold_becomes_parts() -> None:
    answer = {
        "text": "Hi",
        "image": "https://example.org/a.png",
        "custom": {"a": 1},
        "attachment": None,
        "elements": [],
        "buttons": [{"title": "A", "payload": "/a"}],
        "id": "7",
    }
    async with answering((200, json.dumps(answer))) as (_, endpoint):
        server = NlgServer(endpoint, PROGRAM)
        parts = await server.word(wording())
        await server.close()
    assert parts is not None
    assert {type(part) for part in parts} == {Text, Image, Custom, Choices}


@pytest.mark.parametrize("body", ["", "null", "{}", '{"text": null, "buttons": []}'])
async def test_an_empty_answer_has_no_words(body: str) -> None:
    async with answering((200, body)) as (_, endpoint):
        server = NlgServer(endpoint, PROGRAM)
        assert await server.word(wording()) is None
        await server.close()


@pytest.mark.parametrize(
    ("answer", "said"), [((500, "s3cret"), "status 500"), ((200, "<p>"), "not JSON"), ((200, "[1]"), "found list")]
)
async def test_a_wrong_answer_is_told_without_its_words(answer: tuple[int, str], said: str) -> None:
    async with answering(answer) as (_, endpoint):
        server = NlgServer(endpoint, PROGRAM)
        with pytest.raises(SkillError, match=said) as caught:
            await server.word(wording())
        await server.close()
    assert "s3cret" not in str(caught.value)


LIMITS = ManagerLimits(deadlines=Deadlines(word=0.1))


async def told(words: str, *given: tuple[int, str], program: Program | None = None, wait: bool = False) -> list[str]:
    """What a bot says whose responses are worded by a server with these answers."""
    program = program or fakes.program()
    actions = fakes.Actions(action_order=lambda call: ActionResult(messages=(Worded("utter_x", {"n": 3}),)))
    async with answering(*given) as (answers, endpoint):
        if wait:
            _hold(answers)
        server = NlgServer(endpoint, program)
        models = fakes.models(program=program, actions=actions, word=server.word)
        async with fakes.managing(given=models, limits=LIMITS) as manager:
            said = await fakes.tell(manager, words)
        await server.close()
        answers.gate.set()
    return said


def _hold(answers: Answers) -> None:
    answers.gate.clear()


async def test_the_servers_words_are_said() -> None:
    assert await told("hello", HELLO) == ["Servus!"]


@pytest.mark.parametrize("answer", [(500, ""), (200, "{}"), (200, "<p>")])
async def test_without_its_words_the_domains_own_are_said(answer: tuple[int, str]) -> None:
    assert await told("hello", answer) == ["Hello!"]


async def test_a_slow_server_does_not_hold_up_the_answer() -> None:
    assert await told("hello", HELLO, wait=True) == ["Hello!"]


async def test_values_of_an_action_are_told_and_a_response_that_nobody_words_is_a_visible_failure() -> None:
    assert await told("order", HELLO) == ["Servus!"]
    assert await told("order", (500, "")) == ["Something broke."]


def test_actions_without_a_wording_are_responses_of_the_server() -> None:
    program = Program(actions=("utter_a", "utter_b", "action_c"), responses={"utter_b": (Variation(text="b"),)})
    found = spoken_for(program)
    assert found.actions == ("utter_b", "action_c") and set(found.responses) == {"utter_a", "utter_b"}
    assert spoken_for(found) is found
