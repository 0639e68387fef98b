"""Rasa's HTTP API, address by address: what harnesses written for Rasa send, and what they get."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web

from bot.core import events as ev
from bot.core.program import Program
from bot.yaml import parse_yaml
from tests.server.rasa_served import Api, rasa_served

ONE = "/conversations/u%2F1"
TRACKER_KEYS = [
    "sender_id", "slots", "latest_message", "latest_event_time", "followup_action", "paused", "events",
    "latest_input_channel", "active_loop", "latest_action", "latest_action_name",
]  # fmt: skip
TURN = ["user", "user_featurization", "action:utter_greet", "bot", "action:action_listen"]
SESSION = ["action:action_session_start", "session_started", "action:action_listen"]
USER = {"event": "user", "text": "hi", "parse_data": {"intent": {"name": "greet", "confidence": 1.0}, "entities": []}}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with rasa_served(tmp_path) as served:
        yield served


def named(tracker: dict[str, Any]) -> list[str]:
    events = tracker["events"]
    return [f"action:{each['name']}" if each["event"] == "action" else each["event"] for each in events]


def plain(text: str) -> Any:
    return parse_yaml(text, "answer").plain()


# Trackers


async def test_a_dumped_tracker_has_rasas_shape_key_for_key(api: Api) -> None:
    await api.say("greet", metadata={"a": 1})
    tracker = await api.call("GET", f"{ONE}/tracker")
    assert list(tracker) == TRACKER_KEYS
    assert named(tracker) == ["action:action_session_start", "session_started", "slot", "action:action_listen", *TURN]
    for event in tracker["events"]:
        assert set(event["metadata"]) >= {"model_id", "assistant_id"} and isinstance(event["timestamp"], float)
    user, action, bot = tracker["events"][4], tracker["events"][6], tracker["events"][7]
    assert set(user) == {"event", "timestamp", "metadata", "text", "parse_data", "input_channel", "message_id"}
    assert set(action) == {"event", "timestamp", "metadata", "name", "policy", "confidence", "action_text",
                           "hide_rule_turn"}  # fmt: skip
    assert set(bot) == {"event", "timestamp", "metadata", "text", "data"} and len(bot["data"]) == 6
    assert bot["metadata"] == {"utter_action": "utter_greet", "model_id": "b1", "assistant_id": "shop"}
    assert tracker["slots"] == {"city": None, "session_started_metadata": {"a": 1}, "requested_slot": None}


async def test_an_unknown_conversation_is_a_fresh_session(api: Api) -> None:
    assert named(await api.call("GET", "/conversations/nobody/tracker")) == SESSION
    assert api.store.log == []


@pytest.mark.parametrize(("query", "count"), [("?include_events=none", None), ("?include_events=ALL", 8),
                                              ("?until=0", 0)])  # fmt: skip
async def test_the_events_asked_for_are_shown(api: Api, query: str, count: int | None) -> None:
    await api.say("greet")
    events = (await api.call("GET", f"{ONE}/tracker{query}"))["events"]
    assert (events if events is None else len(events)) == count


@pytest.mark.parametrize("path", [f"{ONE}/tracker?include_events=SOME", f"{ONE}/tracker?until=x"])
async def test_errors_have_rasas_shape(api: Api, path: str) -> None:
    body = await api.call("GET", path, status=400)
    assert list(body) == ["version", "status", "message", "reason", "details", "help", "code"]
    assert (body["status"], body["reason"], body["code"]) == ("failure", "BadRequest", 400)


async def test_events_are_appended(api: Api) -> None:
    await api.say("greet")
    slot = {"event": "slot", "name": "city", "value": "Rome", "timestamp": None}
    tracker = await api.call("POST", f"{ONE}/tracker/events", [slot, {"event": "pause"}])
    assert tracker["slots"]["city"] == "Rome" and tracker["paused"] is True
    assert named(tracker) == [*SESSION, *TURN, "slot", "pause"]
    one = await api.call("POST", f"{ONE}/tracker/events?include_events=NONE", {"event": "resume"})
    assert one["events"] is None and one["paused"] is False


async def test_appended_slots_count_in_the_next_turn(api: Api) -> None:
    await api.call("POST", "/conversations/new/tracker/events", {"event": "slot", "name": "city", "value": "Rome"})
    assert named(await api.call("GET", "/conversations/new/tracker")) == [*SESSION, "slot"]
    (answer,) = await api.say("find", "new")
    assert answer["text"] == "Found Bonn."


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ([], "at least one"),
        ({"event": "made_up"}, "there is no event 'made_up'"),
        ({"name": "x"}, "its type in 'event'"),
        ({"event": "slot"}, "'name' is missing"),
        ("text", "valid"),
    ],
)
async def test_events_that_rasa_would_refuse_are_refused(api: Api, body: object, why: str) -> None:
    found = await api.call("POST", f"{ONE}/tracker/events", body, status=400)
    assert why in found["message"] and api.store.log == []


async def test_reminders_are_set_only_as_a_side_effect(api: Api) -> None:
    reminder = {"event": "reminder", "intent": "remind", "date_time": "2030-01-01T00:00:00+00:00", "name": "r"}
    for query in ("", "?execute_side_effects=true"):
        await api.call("POST", f"{ONE}/tracker/events{query}", reminder)
    kinds = [recorded.event.kind for recorded in api.store.log]
    assert kinds.count("reminder_set") == 1
    shown = (await api.call("GET", f"{ONE}/tracker"))["events"][-2:]
    assert {each["date_time"] for each in shown} == {"2030-01-01T00:00:00+00:00"}


async def test_events_are_replaced(api: Api) -> None:
    await api.say("greet")
    for _ in range(2):
        tracker = await api.call("PUT", f"{ONE}/tracker/events", [{"event": "slot", "name": "city", "value": "Rome"}])
        assert named(tracker) == ["slot"] and tracker["slots"]["city"] == "Rome"
    assert [message["text"] for message in await api.say("greet")] == ["Hello!"]


async def test_events_that_cannot_follow_are_refused(api: Api) -> None:
    await api.say("greet")
    long_ago = {**USER, "message_id": "m", "timestamp": 1.0}
    tracker = await api.call("POST", f"{ONE}/tracker/events", long_ago)
    assert tracker["events"][-1]["timestamp"] >= tracker["events"][-2]["timestamp"]


@pytest.mark.parametrize("path", ["/conversations/team/u%2F1/tracker", "/conversations/team/u/1/tracker"])
async def test_trap_15_conversation_ids_may_hold_slashes(api: Api, path: str) -> None:
    await api.say("greet", "team/u/1")
    tracker = await api.call("GET", path)
    assert tracker["sender_id"] == "team/u/1" and named(tracker) == [*SESSION, *TURN]
    slot = {"event": "slot", "name": "city", "value": "Rome", "timestamp": None}
    changed = await api.call("POST", f"{path}/events", slot)
    assert (changed["sender_id"], changed["slots"]["city"]) == ("team/u/1", "Rome")
    (story,) = plain(await api.call("GET", path.replace("/tracker", "/story")))["stories"]
    assert story["story"] == "team/u/1"


# Stories


async def test_a_conversation_is_told_as_a_test_story(api: Api) -> None:
    await api.say("greet you")
    text = await api.call("GET", f"{ONE}/story")
    (story,) = plain(text)["stories"]
    assert story == {"story": "u/1", "steps": [{"intent": "greet", "user": "greet you"}, {"action": "utter_greet"}]}
    await api.call("GET", "/conversations/nobody/story", status=404)


async def test_trap_16_spans_that_several_extractors_found_are_told_together_and_once(api: Api) -> None:
    span = {"start": 0, "end": 4, "value": "AB12"}
    spans = [{**span, "entity": name, "extractor": name} for name in ("code", "plate", "code")]
    parsed = {"intent": {"name": "find"}, "entities": spans}
    await api.call("POST", f"{ONE}/tracker/events", {"event": "user", "text": "AB12", "parse_data": parsed})
    text = await api.call("GET", f"{ONE}/story?all_sessions=true")
    assert '[AB12][{"entity": "code"}, {"entity": "plate"}]' in text


async def test_every_session_can_be_told(api: Api) -> None:
    await api.say("greet")
    again = [{"event": "action", "name": "action_session_start"}, {"event": "session_started"}, USER,
             {"event": "action", "name": "utter_greet"}]  # fmt: skip
    await api.call("POST", f"{ONE}/tracker/events", again)
    assert (await api.call("GET", f"{ONE}/story")).count("- story:") == 1
    assert '- story: "u/1, story 2"' in await api.call("GET", f"{ONE}/story?all_sessions=true")
    assert "- story:" not in await api.call("GET", f"{ONE}/story?until=0")


# Acting


async def test_an_intent_is_triggered(api: Api) -> None:
    found = await api.call("POST", f"{ONE}/trigger_intent", {"name": "find", "entities": {"city": "Rome"}})
    assert found["messages"] == [{"recipient_id": "u/1", "text": "Found Bonn."}]
    user = next(event for event in found["tracker"]["events"] if event["event"] == "user")
    assert user["text"] == "EXTERNAL: find" and user["metadata"]["is_external"] is True
    assert [entity["value"] for entity in user["parse_data"]["entities"]] == ["Rome"]
    assert user["input_channel"] == "rest"
    listed = {"name": "greet", "entities": [{"entity": "city", "value": "Rome"}]}
    found = await api.call("POST", f"{ONE}/trigger_intent?output_channel=slack", listed)
    assert found["tracker"]["latest_input_channel"] == "slack"


@pytest.mark.parametrize(("body", "status"), [({"name": "nothing"}, 404), ({}, 400), ({"name": ""}, 400)])
async def test_only_intents_of_the_domain_are_triggered(api: Api, body: object, status: int) -> None:
    await api.call("POST", f"{ONE}/trigger_intent", body, status=status)


async def test_an_action_is_executed(api: Api) -> None:
    body = {"name": "action_find", "policy": "by_hand", "confidence": 0.5}
    found = await api.call("POST", f"{ONE}/execute", body)
    assert found["messages"] == [{"recipient_id": "u/1", "text": "Found Bonn."}]
    assert named(found["tracker"]) == [*SESSION, "action:action_find", "slot", "bot"]
    action = found["tracker"]["events"][3]
    assert (action["policy"], action["confidence"]) == ("by_hand", 0.5)
    said = await api.call("POST", f"{ONE}/execute", {"name": "utter_greet"})
    assert said["messages"][0]["text"] == "Hello!" and said["tracker"]["events"][-2]["policy"] is None
    assert [message["text"] for message in await api.say("greet")] == ["Hello!"]


async def test_listening_can_be_executed(api: Api) -> None:
    await api.say("greet")
    await api.call("POST", f"{ONE}/execute", {"name": "utter_greet"})
    found = await api.call("POST", f"{ONE}/execute", {"name": "action_listen"})
    assert named(found["tracker"])[-3:] == ["action:utter_greet", "bot", "action:action_listen"]
    assert found["messages"] == []


@pytest.mark.parametrize(("name", "status"), [("action_unknown", 404), ("order_form", 404), ("action_broken", 500)])
async def test_actions_that_cannot_be_done_are_refused(api: Api, name: str, status: int) -> None:
    await api.call("POST", f"{ONE}/execute", {"name": name}, status=status)


async def test_the_loop_of_a_harness_message_predict_execute(api: Api) -> None:
    """Note a message, ask what comes next, do it, until the bot listens: as interactive learning does."""
    await api.say("greet")
    tracker = await api.call("POST", f"{ONE}/messages", {"text": "find it", "sender": "user"})
    assert tracker["latest_message"]["intent"]["name"] == "find" and named(tracker)[-1] == "user"
    done: list[str] = []
    while "action_listen" not in done:
        choice = await api.call("POST", f"{ONE}/predict")
        best = max(choice["scores"], key=lambda each: each["score"])
        assert (choice["policy"], choice["confidence"]) == ("RulePolicy", 1.0) and set(choice["tracker"])
        done.append(best["action"])
        await api.call("POST", f"{ONE}/execute", {"name": best["action"], "policy": choice["policy"]})
    assert done == ["action_find", "action_listen"]
    assert (await api.say("greet"))[0]["text"] == "Hello!"


async def test_a_message_can_come_with_its_meaning(api: Api) -> None:
    entity = {"entity": "city", "value": "Rome", "start": 0, "end": 4}
    parsed = {"intent": {"name": "find", "confidence": 0.7}, "entities": [entity]}
    body = {"text": "Rome", "sender": "user", "parse_data": parsed}
    tracker = await api.call("POST", f"{ONE}/messages", body)
    assert tracker["slots"]["city"] == "Rome" and api.reader.seen == []
    await api.call("POST", f"{ONE}/messages", {"text": "hi", "sender": "bot"}, status=400)


async def test_what_comes_after_a_list_of_events_is_predicted(api: Api) -> None:
    begun = [{"event": "session_started"}, USER]
    choice = await api.call("POST", "/model/predict", begun)
    assert max(choice["scores"], key=lambda each: each["score"])["action"] == "utter_greet"
    assert {score["action"] for score in choice["scores"]} >= {"action_find", "order_form", "action_restart"}
    unknown = {**USER, "parse_data": {"intent": {"name": "nothing"}}}
    choice = await api.call("POST", "/model/predict", [{"event": "session_started"}, unknown])
    assert (choice["policy"], choice["confidence"]) == ("Fallback", 0.3)
    await api.call("POST", "/conversations/nobody/predict", status=404)


async def test_a_bot_without_rules_and_stories_listens(tmp_path: Path) -> None:
    async with rasa_served(tmp_path, Program(id="p")) as api:
        choice = await api.call("POST", "/model/predict", [USER])
    assert (choice["policy"], choice["confidence"]) == (None, 1.0)


# The model


async def test_greeting_version_and_status(api: Api) -> None:
    assert "Rasa 3.6" in await api.call("GET", "/")
    assert await api.call("GET", "/version") == {"version": "3.6.21", "minimum_compatible_version": "3.5.0"}
    status = await api.call("GET", "/status")
    assert status == {"model_file": "models/b1.tar.gz", "model_id": "b1", "num_active_training_jobs": 0}


@pytest.mark.parametrize(
    ("mode", "keys"),
    [
        ("LUIS", {"query", "prediction"}),
        ("wit", {"text", "intents", "entities", "traits"}),
        ("Dialogflow", {"responseId", "queryResult"}),
    ],
)
async def test_other_services_are_imitated(api: Api, mode: str, keys: set[str]) -> None:
    assert set(await api.call("POST", f"/model/parse?emulation_mode={mode}", {"text": "greet"})) == keys
    await api.call("POST", "/model/parse?emulation_mode=OTHER", {"text": "greet"}, status=400)


async def test_a_text_is_parsed_whatever_type_the_body_claims(api: Api) -> None:
    parsed = await api.call("POST", "/model/parse", data=b'{"text": "greet"}', headers={"Content-Type": "text/plain"})
    assert parsed["intent"]["name"] == "greet"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [("*/*", "application/json"), ("application/json", "application/json"), ("text/html, */*;q=0.5",
     "application/json"), ("application/yml", "application/x-yaml"), ("text/*", "application/x-yaml")],
)  # fmt: skip
async def test_trap_10_the_domain_comes_as_asked_and_as_json_by_default(api: Api, accept: str, kind: str) -> None:
    async with api.http.get("/domain", headers={"Accept": accept}) as answer:
        assert (answer.status, answer.content_type) == (200, kind)
        text = await answer.text()
    domain = json.loads(text) if kind.endswith("json") else plain(text)
    assert domain["intents"] == ["greet", "find", "remind"] and domain["forms"]["order_form"]


async def test_a_domain_in_another_type_is_not_there(api: Api) -> None:
    await api.call("GET", "/domain", status=406, headers={"Accept": "image/png"})


async def test_the_model_is_unloaded_and_messages_say_so(api: Api) -> None:
    await api.call("DELETE", "/model", status=204)
    for method, path, body in (("GET", "/status", None), ("POST", "/model/parse", {"text": "x"})):
        assert (await api.call(method, path, body, status=409))["reason"] == "Conflict"
    (answer,) = await api.say("greet")
    assert answer["text"] == "Something broke."


@pytest.mark.parametrize("body", [{"model_file": "nope.tar.gz"}, {"model_file": "../../etc"}])
async def test_a_model_that_is_not_there_cannot_be_loaded(api: Api, body: object) -> None:
    await api.call("PUT", "/model", body, status=404)


@pytest.mark.parametrize("body", [{}, {"model_server": {"url": "http://x"}}, {"remote_storage": "aws"}])
async def test_models_of_other_machines_cannot_be_loaded(api: Api, body: object) -> None:
    assert "model_file" in (await api.call("PUT", "/model", body, status=400))["message"]


STORY = "stories:\n- story: one\n  steps:\n  - user: greet\n    intent: greet\n  - action: {}\n"


@pytest.mark.parametrize(("action", "accuracy"), [("utter_greet", 1.0), ("action_find", 0.5)])
async def test_stories_are_tested(api: Api, action: str, accuracy: float) -> None:
    report = await api.call("POST", "/model/test/stories?e2e=true", data=STORY.format(action))
    assert report["accuracy"] == accuracy and report["is_end_to_end_evaluation"] is True
    assert {"report", "precision", "f1", "actions", "in_training_data_fraction"} <= set(report)
    assert set(report["actions"][0]) == {"action", "predicted", "policy", "confidence"}


NLU = "nlu:\n- intent: greet\n  examples: |\n    - greet [Rome](city)\n    - find\n- lookup: x\n  examples: '- y'\n"


@pytest.mark.parametrize(
    "text",
    [
        NLU,
        json.dumps([{"text": "greet Rome", "intent": "greet"}, {"text": "find", "intent": "greet"}, {}]),
        json.dumps({"rasa_nlu_data": {"common_examples": [{"text": "greet x", "intent": "greet"},
                                                          {"text": "find", "intent": "greet"}]}}),
        "nlu:\n- intent: greet\n  examples:\n  - text: greet\n  - text: find\n",
    ],
)  # fmt: skip
async def test_intents_are_tested(api: Api, text: str) -> None:
    report = await api.call("POST", "/model/test/intents", data=text)
    assert set(report) == {"intent_evaluation", "entity_evaluation", "response_selection_evaluation"}
    found = report["intent_evaluation"]
    assert found["accuracy"] == 0.5 and [error["text"] for error in found["errors"]] == ["find"]
    assert set(found) == {"predictions", "report", "precision", "f1_score", "accuracy", "errors"}
    assert (report["entity_evaluation"] is None) == ("[Rome]" not in text)


async def test_chosen_responses_are_tested(api: Api) -> None:
    report = await api.call("POST", "/model/test/intents", data="nlu:\n- intent: faq/hours\n  examples: '- greet'\n")
    assert report["response_selection_evaluation"]["accuracy"] == 0.0


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/model/test/intents", ""),
        ("/model/test/intents", "a: 1"),
        ("/model/test/intents", "nlu: []"),
        ("/model/test/intents", '{"rasa_nlu_data": 5}'),
        ("/model/test/intents?cross_validation_folds=3", NLU),
        ("/model/test/stories", "stories: []"),
        ("/model/test/stories", "stories: [5]"),
        ("/model/train", ""),
        ("/model/train", "- a list"),
        ("/model/train", "nlu: 5"),
        ("/model/train", b"\xff"),
    ],
)
async def test_what_cannot_be_tested_or_trained_is_explained(api: Api, path: str, data: Any) -> None:
    assert (await api.call("POST", path, data=data, status=400))["reason"] == "BadRequest"
    assert (await api.call("GET", "/status"))["num_active_training_jobs"] == 0


async def test_results_go_to_a_callback(api: Api) -> None:
    sent: asyncio.Queue[bytes] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        await sent.put(await request.read())
        return web.Response()

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await api.call("POST", f"/model/test/intents?callback_url={url}", data=NLU, status=204)
    assert json.loads(await sent.get())["intent_evaluation"]["accuracy"] == 0.5
    await api.call("POST", f"/model/train?callback_url={url}", data="nlu: 5", status=204)
    assert json.loads(await sent.get())["status"] == "failure"
    await runner.cleanup()
    await api.call("POST", f"/model/test/intents?callback_url={url}", data=NLU, status=204)


# Who may


SECRET, TOKEN = "a secret that is long enough for HS256", "an-operators-token"


def signed(role: str | None = "user", name: str = "u/1", key: str = SECRET) -> dict[str, str]:
    claims = {"user": {"username": name, "role": role}} if role else {}
    return {"Authorization": f"Bearer {jwt.encode(claims, key, algorithm='HS256')}"}


WHO: list[tuple[dict[str, str], str, int]] = [
    (signed("admin"), "/status", 200),
    (signed("admin"), f"{ONE}/tracker", 200),
    (signed("user"), f"{ONE}/tracker", 200),
    (signed("user"), "/conversations/u2/tracker", 403),
    (signed("user"), "/status", 403),
    (signed("guest"), f"{ONE}/tracker", 403),
    (signed(None), f"{ONE}/tracker", 403),
    (signed("admin", key="another secret, which is also long enough"), "/status", 401),
    ({"Authorization": "Bearer a.b.c"}, "/status", 401),
    ({}, "/status", 401),
    ({}, f"/status?token={TOKEN}", 200),
    ({"Authorization": f"Bearer {TOKEN}"}, "/status", 200),
    ({}, "/status?token=wrong", 401),
    ({}, "/version", 200),
]


@pytest.mark.parametrize(("headers", "path", "status"), WHO)
async def test_tokens_open_what_their_user_may(tmp_path: Path, headers: dict[str, str], path: str, status: int) -> None:
    async with rasa_served(tmp_path, jwt_secret=SECRET, token=TOKEN) as api:
        body = await api.call("GET", path, status=status, headers=headers)
        if status in (401, 403):
            assert body["reason"] == ("NotAuthenticated" if status == 401 else "NotAuthorized")


async def test_with_a_jwt_secret_alone_a_token_is_needed_even_here(tmp_path: Path) -> None:
    async with rasa_served(tmp_path, jwt_secret=SECRET) as api:
        await api.call("GET", "/status", status=401)
        await api.call("GET", "/status", headers=signed("admin"))


async def test_the_api_is_off_until_it_is_wanted(tmp_path: Path) -> None:
    async with rasa_served(tmp_path, enable_api=False) as api:
        await api.call("GET", "/status", status=404)
        await api.call("POST", f"{ONE}/execute", {"name": "utter_greet"}, status=404)
        await api.call("GET", f"{ONE}/tracker")
        await api.call("POST", "/model/parse", {"text": "greet"})


async def test_the_description_shows_the_api(api: Api) -> None:
    document = await api.call("GET", "/openapi.json")
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    one = "/conversations/{conversation}"
    assert described >= {
        ("GET", "/"), ("GET", "/version"), ("GET", "/status"), ("GET", "/domain"), ("PUT", "/model"),
        ("DELETE", "/model"), ("POST", "/model/train"), ("POST", "/model/test/stories"),
        ("POST", "/model/test/intents"), ("POST", "/model/predict"), ("POST", "/model/parse"),
        ("GET", f"{one}/tracker"), ("POST", f"{one}/tracker/events"), ("PUT", f"{one}/tracker/events"),
        ("GET", f"{one}/story"), ("POST", f"{one}/execute"), ("POST", f"{one}/trigger_intent"),
        ("POST", f"{one}/predict"), ("POST", f"{one}/messages"),
    }  # fmt: skip


async def test_a_tracker_may_be_larger_than_a_message(api: Api) -> None:
    events = [{"event": "slot", "name": "city", "value": "x" * 1_000} for _ in range(300)]
    assert len((await api.call("PUT", f"{ONE}/tracker/events", events))["events"]) == 300


async def test_a_log_that_was_imported_is_told_as_it_was(api: Api) -> None:
    events = [{"event": "action", "name": "action_session_start", "policy": None, "confidence": 1.0,
               "action_text": None, "hide_rule_turn": False, "timestamp": 1.0, "metadata": {"model_id": "m"}},
              {"event": "session_started", "timestamp": 2.0, "metadata": {}}]  # fmt: skip
    tracker = await api.call("PUT", f"{ONE}/tracker/events", events)
    assert [event["timestamp"] for event in tracker["events"]] == [1.0, 2.0]
    assert isinstance(api.store.log[0].event, ev.Erased | ev.Started)
