"""Custom actions over HTTP: what is sent, and what every answer and failure comes to."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace
from typing import Any

import pytest

from bot.core import events as ev
from bot.core.errors import BotError, Rejected, SkillError
from bot.core.messages import Choices, Text
from bot.core.protocols import ActionResult, Worded
from bot.project.endpoints import Endpoint
from bot.sdk.http import HttpActions
from tests.sdk.serving import PROGRAM, Asked, answering, call

EMPTY = (200, '{"events": [], "responses": []}')


async def running(endpoint: Endpoint, name: str = "action_x", *candidates: str, **options: Any) -> ActionResult:
    server = HttpActions(endpoint, PROGRAM, **options)
    try:
        return await server.run(call(name, *candidates))
    finally:
        await server.close()


async def asked(*candidates: str, name: str = "action_x", **options: Any) -> Asked:
    async with answering(EMPTY) as (answers, endpoint):
        await running(replace(endpoint, **options.pop("endpoint", {})), name, *candidates, **options)
    return answers.asked[-1]


async def failing(*given: tuple[int, str] | None) -> str:
    async with answering(*given) as (_, endpoint):
        with pytest.raises(BotError) as caught:
            await running(endpoint)
    return f"{type(caught.value).__name__}: {caught.value}"


async def test_the_request_has_the_keys_of_rasa_in_its_order() -> None:
    found = await asked()
    assert list(found.body) == ["next_action", "sender_id", "tracker", "version", "domain"]
    assert (found.body["next_action"], found.body["sender_id"], found.body["version"]) == ("action_x", "c", "3.6.21")
    assert found.body["tracker"]["slots"]["size"] == "large"
    assert found.body["tracker"]["latest_message"]["text"] == "a large one"
    assert found.body["domain"]["actions"] == list(PROGRAM.actions)
    assert found.headers["Content-Type"] == "application/json"
    assert found.headers["Idempotency-Key"] == "c/1/action_x"


async def test_a_key_of_any_text_fits_into_a_header() -> None:
    async with answering(EMPTY) as (answers, endpoint):
        server = HttpActions(endpoint, PROGRAM)
        await server.run(replace(call(), key="a b\nJürgen/1/x"))
        await server.close()
    assert answers.asked[0].headers["Idempotency-Key"] == "a%20b%0AJ%C3%BCrgen/1/x"


async def test_requests_are_deflated_when_the_settings_say_so() -> None:
    found = await asked(compress=True)
    assert found.headers["Content-Encoding"] == "deflate"
    assert len(found.raw) < len(json.dumps(found.body)) and found.body["next_action"] == "action_x"


async def test_credentials_headers_and_parameters_go_along() -> None:
    given = {"token": "s3", "headers": {"X-Team": "a"}, "params": {"v": "2"}, "basic_auth": ("ann", "pw")}
    found = await asked(endpoint=given)
    assert (found.query["token"], found.query["v"], found.headers["X-Team"]) == ("s3", "2", "a")
    assert found.headers["Authorization"].startswith("Basic ")


async def test_candidates_of_a_form_are_the_last_events_after_the_forms_own() -> None:
    found = await asked("size", "price", name="validate_pizza_form")
    tail = found.body["tracker"]["events"][-3:]
    assert [(event["event"], event["name"]) for event in tail] == [
        ("action", "pizza_form"),
        ("slot", "size"),
        ("slot", "price"),
    ]
    assert [event["value"] for event in tail[1:]] == ["large", None]


async def test_candidates_of_the_global_validation_come_right_after_the_message() -> None:
    found = await asked("price", name="action_validate_slot_mappings")
    kinds = [event["event"] for event in found.body["tracker"]["events"]]
    assert kinds[-2:] == ["user", "slot"] and found.body["tracker"]["events"][-1]["name"] == "price"


async def test_trap_2_a_server_that_wants_the_domain_gets_it_once() -> None:
    async with answering((449, '{"error": "", "action_name": "action_x"}'), EMPTY) as (answers, endpoint):
        await running(replace(endpoint, selective_domain=True))
    first, second = answers.asked
    assert "domain" not in first.body and first.body["domain_digest"] == "p1"
    assert second.body["domain"]["responses"] and second.body["domain_digest"] == "p1"


async def test_trap_2_a_server_that_never_has_enough_is_asked_twice_only() -> None:
    async with answering((449, "{}")) as (answers, endpoint):
        with pytest.raises(SkillError, match="still wants the domain"):
            await running(replace(endpoint, selective_domain=True))
    assert len(answers.asked) == 2


async def test_a_validation_always_gets_the_domain() -> None:
    found = await asked("size", name="validate_pizza_form", endpoint={"selective_domain": True})
    assert "domain" in found.body


@pytest.mark.parametrize("nothing", ["null", "", "{}", '{"events": null, "responses": null}'])
async def test_trap_3_null_is_an_empty_result(nothing: str) -> None:
    async with answering((200, nothing)) as (_, endpoint):
        assert await running(endpoint) == ActionResult()


async def test_trap_4_a_refusal_names_its_action_another_400_is_a_failure() -> None:
    assert await failing((400, '{"error": "no", "action_name": "action_x"}')) == (
        "Rejected: action 'action_x' refused to run"
    )
    for body in ('{"error": "Invalid body request"}', "null", "oops", '{"action_name": null}'):
        assert (await failing((400, body))).startswith("SkillError: skill 'action_x': the action server at http://127")


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, '{"error": "No registered action", "action_name": "action_x"}', "does not know this action"),
        (404, "<html>", "check the path, which is /webhook"),
        (405, "", "check the path"),
        (401, "", "refused our credentials"),
        (403, "", "refused our credentials"),
        (500, '{"error": "boom"}', "its own log says why"),
        (502, "", "answered with status 502"),
        (307, "", "answered with status 307"),
        (200, "<html>", "not JSON; check its address"),
        (200, "[]", "expected an object with `events` and `responses`, found list"),
        (200, '{"events": {}, "responses": [1]}', "expected `responses` to be a list of objects"),
        (200, '{"events": [{"event": "slot"}]}', "'name' is missing"),
        (200, '{"events": [{"name": "size"}]}', "an event of Rasa is an object with its type"),
    ],
)
async def test_each_failure_says_what_happened(status: int, body: str, said: str) -> None:
    found = await failing((status, body))
    assert found.startswith("SkillError: skill 'action_x': ") and said in found


async def test_the_body_of_a_500_is_never_told_or_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = json.dumps({"error": "s3cret", "request_body": {"tracker": "s3cret"}})
    assert "s3cret" not in await failing((500, secret)) + caplog.text
    assert "its own log says why" in caplog.text


async def test_a_server_that_is_not_there_says_so() -> None:
    async with answering(EMPTY) as (_, endpoint):
        pass
    with pytest.raises(SkillError, match=r"cannot be reached .*start it .*bot actions"):
        await running(endpoint)


async def test_a_broken_connection_is_tried_once_more_with_the_same_key() -> None:
    async with answering(None, EMPTY) as (answers, endpoint):
        assert await running(endpoint) == ActionResult()
    assert [one.headers["Idempotency-Key"] for one in answers.asked] == ["c/1/action_x"] * 2
    assert "closed the connection" in await failing(None)


async def test_a_slow_server_is_given_up_when_the_caller_does() -> None:
    async with answering(EMPTY) as (answers, endpoint):
        answers.gate.clear()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await running(endpoint)
        answers.gate.set()


async def test_an_endless_answer_is_refused() -> None:
    assert "longer than 8 MiB" in await failing((200, "[" * (9 << 20)))


async def test_addresses_in_messages_hold_no_secrets() -> None:
    endpoint = Endpoint(url="http://ann:pw@127.0.0.1:9/webhook?key=abc", token="s3")
    with pytest.raises(SkillError) as caught:
        await running(endpoint)
    assert not {"pw", "abc", "s3"} & set(str(caught.value).replace("@", " ").replace("=", " ").split())


async def test_trap_17_events_without_a_time_are_taken() -> None:
    events = [
        {"event": "slot", "timestamp": None, "name": "size", "value": None},
        {"event": "followup", "timestamp": None, "name": "action_y"},
        {"event": "reminder", "timestamp": None, "intent": "a", "date_time": "2031-01-01T00:00:00Z", "name": "r"},
        {"event": "cancel_reminder", "timestamp": None, "name": None, "intent": None, "entities": None},
        {"event": "reset_slots", "timestamp": None},
        {"event": "bot", "timestamp": None, "text": "hi", "data": {}, "metadata": {}},
        {"event": "something_new", "timestamp": None, "data": 1},
    ]
    async with answering((200, json.dumps({"events": events}))) as (_, endpoint):
        found = await running(endpoint)
    kinds = [event.kind for event in found.events if event.kind != "foreign" or event.name]
    assert kinds == [
        "slot_set",
        "follow_up",
        "reminder_set",
        "reminder_cancelled",
        "slots_reset",
        "replied",
        "foreign",
    ]


async def test_an_action_may_change_what_the_message_means_but_not_begin_or_end_a_turn() -> None:
    parsed = {"intent": {"name": "stop", "confidence": 0.8}, "entities": [], "intent_ranking": []}
    user = {"event": "user", "timestamp": None, "text": "stop", "parse_data": parsed}
    async with answering((200, json.dumps({"events": [user, {"event": "session_ended"}]}))) as (_, endpoint):
        found = await running(endpoint)
    understood, extracted = found.events
    assert isinstance(understood, ev.Understood) and understood.source == "external"
    assert extracted == ev.Extracted(intent="stop")


async def test_messages_come_before_events_and_buttons_are_added_to_a_named_response() -> None:
    answer = {
        "events": [{"event": "slot", "timestamp": None, "name": "size", "value": "small"}],
        "responses": [
            {"text": "hi", "buttons": [], "elements": [], "custom": {}, "template": None, "response": None},
            {
                "response": "utter_hi",
                "template": "utter_hi",
                "name": "Bob",
                "buttons": [{"title": "A", "payload": "/a"}],
            },
            {"text": None, "buttons": []},
        ],
    }
    async with answering((200, json.dumps(answer))) as (_, endpoint):
        result = await running(endpoint)
    plain, named = result.messages
    assert not isinstance(plain, str | Worded) and plain.parts == (Text(text="hi"),)
    assert isinstance(named, Worded) and (named.name, dict(named.values)) == ("utter_hi", {"name": "Bob"})
    assert isinstance(named.parts[0], Choices) and named.parts[0].options[0].title == "A"
    assert result.events == (ev.SlotSet(name="size", value="small", source="action"),)


def test_it_is_an_action_server_for_all_actions_of_the_domain() -> None:
    assert HttpActions(Endpoint(url="http://127.0.0.1:9"), PROGRAM).names == PROGRAM.actions
    assert Rejected("a").code == "action_rejected"
