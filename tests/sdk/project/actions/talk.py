"""Actions of the test project: everything that an action may bring, one thing each."""

import asyncio
from pathlib import Path
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import (
    ActionReverted,
    AllSlotsReset,
    FollowupAction,
    ReminderCancelled,
    SlotSet,
)
from rasa_sdk.executor import CollectingDispatcher
from rasa_sdk.interfaces import ActionExecutionRejection

Events = list[dict[str, Any]]


class Hello(Action):
    def name(self) -> str:
        return "action_hello"

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        visits = int(tracker.get_slot("visits") or 0) + 1
        more = {"title": "Menu", "payload": "/menu"}
        dispatcher.utter_message(response="utter_hello", name="Bob", visits=visits, buttons=[more])
        return [SlotSet("visits", visits)]


class Price(Action):
    def name(self) -> str:
        return "action_price"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        dispatcher.utter_message(text="It is 20.")
        return [SlotSet("total", 20)]


class Count(Action):
    def name(self) -> str:
        return "action_count"

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        said = sum(event["event"] == "user" for event in tracker.events)
        last = tracker.latest_message.get("intent", {}).get("name")
        dispatcher.utter_message(text=f"{said} messages, the last was {last}, in {len(domain['responses'])} words.")
        return []


class Chain(Action):
    def name(self) -> str:
        return "action_chain"

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        return [FollowupAction("action_second")]


class Second(Action):
    def name(self) -> str:
        return "action_second"

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        dispatcher.utter_message(response="utter_chained")
        return []


class Remind(Action):
    def name(self) -> str:
        return "action_remind"

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        dispatcher.utter_message(text="I will.")
        due = "2031-01-01T10:00:00+00:00"
        reminder = {"event": "reminder", "timestamp": None, "intent": "EXTERNAL_call", "date_time": due}
        return [{**reminder, "entities": {"size": "large"}, "name": "call", "kill_on_user_msg": False}]


class Forget(Action):
    def name(self) -> str:
        return "action_forget"

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        dispatcher.utter_message(text="Forgotten.")
        return [ReminderCancelled(name="call")]


class Menu(Action):
    def name(self) -> str:
        return "action_menu"

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        sizes = [{"title": size, "payload": '/inform{"size": "' + size + '"}'} for size in ("small", "large")]
        dispatcher.utter_message(text="Choose:", buttons=sizes)
        return []


class Rich(Action):
    def name(self) -> str:
        return "action_rich"

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        dispatcher.utter_message(image="https://example.org/pizza.png")
        dispatcher.utter_message(json_message={"pieces": 8, "price": 9.5, "tags": ["hot", 1]})
        dispatcher.utter_message(attachment="https://example.org/menu.pdf")
        card = {"title": "Margherita", "subtitle": "plain", "buttons": [{"title": "Take", "payload": "/order"}]}
        dispatcher.utter_message(text="Look:", elements=[card])
        return []


class Refuse(Action):
    def name(self) -> str:
        return "action_refuse"

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        raise ActionExecutionRejection("action_refuse", "not now")


class Wipe(Action):
    def name(self) -> str:
        return "action_wipe"

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        dispatcher.utter_message(text="Wiped.")
        return [AllSlotsReset()]


class Fail(Action):
    def name(self) -> str:
        return "action_fail"

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        raise KeyError("s3cret " + str(tracker.latest_message.get("text")))


class Stream(Action):
    def name(self) -> str:
        return "action_stream"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        await dispatcher.stream_start()
        await dispatcher.stream_chunk(text="One.")
        await dispatcher.stream_end()
        dispatcher.utter_message(text="Two.")
        return []


class Drip(Action):
    def name(self) -> str:
        return "action_drip"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        """Streams without end; when it is interrupted it makes the file that the message names."""
        while not dispatcher.is_streaming_cancelled:
            await dispatcher.stream_chunk(text="drip ")
            await asyncio.sleep(0.01)
        Path(tracker.latest_message["text"].partition("=")[2]).touch()  # noqa: ASYNC240
        return []


class Again(Action):
    def name(self) -> str:
        return "action_again"

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        """Says something and takes itself back once."""
        if tracker.get_slot("total") == 1:
            dispatcher.utter_message(text="Done.")
            return []
        return [ActionReverted(), SlotSet("total", 1)]
