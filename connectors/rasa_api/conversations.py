"""Conversations: their trackers read and written, stories, intents triggered, actions done and predicted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from bot.core.conversation import Conversation
from bot.core.errors import InputError, NotFound
from bot.core.events import Predicted, Recorded, Replied, Scored
from bot.core.extraction import extract
from bot.core.messages import Address
from bot.core.program import Program
from bot.core.protocols import Gateway
from bot.core.rasa.events import BY_HAND, fresh_session, rasa_events
from bot.core.rasa.facts import KNOWN, facts, records
from bot.core.rasa.parse import Wire, rasa_parse, read_entities
from bot.core.rasa.stories import sessions, write_stories
from bot.core.rasa.tracker import Include, tracker_of
from connectors.http import Answer, Call, Route
from connectors.limits import Limits
from connectors.rasa_api import shapes
from connectors.rasa_api.operations import Operations, Reads
from connectors.rendering import rasa_messages
from connectors.turns import settled

_ONE = "/conversations/{conversation:(?s:.+)}"
_LATEST = "latest"
_FALLBACK_CHANNEL = "rest"


class Trackers:
    """Conversations to read."""

    def __init__(self, gateway: Gateway, reads: Reads) -> None:
        self._gateway, self._reads = gateway, reads

    def basic(self) -> Sequence[Route]:
        """What is always there."""
        return (_route("GET", "tracker", self._read, "A conversation in Rasa's shape", query=shapes.IncludeUntil),)

    async def _history(self, conversation: str) -> Sequence[Recorded]:
        return await self._gateway.read(conversation)

    def _events(self, history: Sequence[Recorded]) -> list[Wire]:
        """Rasa's events; where nothing has happened, those of a session that has just begun."""
        program, model = self._reads.program(), self._model()
        return rasa_events(history, program, model) if history else fresh_session(time.time(), program, model)

    def _model(self) -> str:
        model = self._reads.model()
        return model.id if model else ""

    def _answer(self, conversation: str, events: Sequence[Wire], include: Include) -> Answer:
        return Answer(200, self._tracker(conversation, events, include), exclude_none=False)

    def _tracker(self, conversation: str, events: Sequence[Wire], include: Include) -> shapes.Tracker:
        return shapes.Tracker(**tracker_of(conversation, events, self._reads.program(), include))

    async def _read(self, call: Call[None, shapes.IncludeUntil]) -> Answer:
        conversation, until = call.segments.conversation, call.query.until
        events = self._events(await self._history(conversation))
        if until is not None:
            events = [event for event in events if event["timestamp"] <= until]
        return self._answer(conversation, events, call.query.include_events)

    async def _now(self, conversation: str, include: Include) -> shapes.Tracker:
        return self._tracker(conversation, self._events(await self._history(conversation)), include)


class Conversations(Trackers):
    """Conversations to write to."""

    def __init__(self, gateway: Gateway, operations: Operations, limits: Limits) -> None:
        super().__init__(gateway, operations)
        self._do, self._limits = operations, limits

    def routes(self) -> Sequence[Route]:
        """What the operator may want besides."""
        events = "tracker/events"
        return (
            _route("POST", events, self._append, "Append events to a conversation", query=shapes.AppendQuery,
                        body=shapes.RasaEvents, large=True),
            _route("PUT", events, self._replace, "Replace a conversation's events", query=shapes.IncludeQuery,
                        body=shapes.EventList, large=True),
            _route("GET", "story", self._story, "A conversation as test stories", query=shapes.StoryQuery,
                        answer="text/yaml"),
            _route("POST", "execute", self._execute, "Do an action", query=shapes.Reached, body=shapes.ActionToDo,
                        answer=shapes.RasaResult),
            _route("POST", "trigger_intent", self._trigger, "Go on as if the user had meant something",
                        query=shapes.Reached, body=shapes.IntentBody, answer=shapes.RasaResult),
            _route("POST", "predict", self._predict, "What the policies choose next", query=shapes.IncludeQuery,
                        answer=shapes.Prediction),
            _route("POST", "messages", self._note, "Note a message of the user, without answering it",
                        query=shapes.IncludeQuery, body=shapes.Said),
            Route("POST", "/model/predict", self._predict_events, "What the policies choose after these events",
                  {200: shapes.Prediction}, query=shapes.IncludeQuery, body=shapes.EventList, door="rasa", large=True,
                  errors=(409, 503)),
        )  # fmt: skip

    async def _story(self, call: Call[None, shapes.StoryQuery]) -> web.Response:
        conversation, until = call.segments.conversation, call.query.until
        history = await self._history(conversation)
        if not history:
            raise NotFound(f"there is no conversation {conversation!r}")
        told = sessions(fact for fact in history if until is None or fact.at <= until)
        if call.query.all_sessions and len(told) > 1:
            named = [(f"{conversation}, story {number}", lines) for number, lines in enumerate(told, start=1)]
        else:
            named = [(conversation, lines) for lines in told[-1:]]
        return web.Response(text=write_stories(named), content_type="text/yaml")

    # Writing

    async def _append(self, call: Call[shapes.RasaEvents, shapes.AppendQuery]) -> Answer:
        given = call.body.root
        events = _checked(given if isinstance(given, list) else [given])
        conversation = call.segments.conversation
        beginning = await self._beginning(conversation)
        await self._do.write(conversation, [*beginning, *events], remind=call.query.execute_side_effects)
        return Answer(200, await self._now(conversation, call.query.include_events), exclude_none=False)

    async def _replace(self, call: Call[shapes.EventList, shapes.IncludeQuery]) -> Answer:
        conversation, events = call.segments.conversation, _checked(call.body.root)
        await self._do.replace(conversation, events)
        return Answer(200, await self._now(conversation, call.query.include_events), exclude_none=False)

    async def _note(self, call: Call[shapes.Said, shapes.IncludeQuery]) -> Answer:
        body, conversation = call.body, call.segments.conversation
        parsed = body.parse_data
        if parsed is None:
            parsed = rasa_parse(await self._do.parse(body.text), self._do.program())
        channel = await self._channel(conversation, "")
        user = {"event": "user", "timestamp": time.time(), "text": body.text, "parse_data": parsed,
                "input_channel": channel}  # fmt: skip
        program = self._do.program()
        beginning = await self._beginning(conversation)
        await self._do.write(conversation, [*beginning, user], lambda state: extract(state, program))
        return Answer(200, await self._now(conversation, call.query.include_events), exclude_none=False)

    async def _beginning(self, conversation: str) -> list[Wire]:
        """What comes before the first event of a new conversation of a bot with sessions."""
        program = self._do.program()
        if program.script is None or await self._gateway.read(conversation, limit=1):
            return []
        return fresh_session(time.time(), program, self._model())

    # Acting

    async def _channel(self, conversation: str, wanted: str) -> str:
        """The channel that was asked for, else the one that the user spoke on last."""
        if wanted and wanted != _LATEST:
            return wanted
        events = self._events(await self._history(conversation))
        channels = [event["input_channel"] for event in events if event["event"] == "user"]
        return next((str(name) for name in reversed(channels) if name), _FALLBACK_CHANNEL)

    async def _trigger(self, call: Call[shapes.IntentBody, shapes.Reached]) -> Answer:
        conversation, body = call.segments.conversation, call.body
        if not _is_intent(body.name, self._do.program()):
            raise NotFound(f"the intent {body.name!r} is not part of the domain")
        channel = await self._channel(conversation, call.query.output_channel)
        address = Address(channel=channel, conversation=conversation, sender=conversation)
        receipt = await self._gateway.trigger(address, body.name, read_entities(body.entities))
        outcome = await settled(receipt, self._limits.turn_seconds)
        said = rasa_messages(outcome.messages, conversation)
        return await self._result(conversation, said.model_dump(exclude_none=True), call.query.include_events)

    async def _execute(self, call: Call[shapes.ActionToDo, shapes.Reached]) -> Answer:
        conversation, body = call.segments.conversation, call.body
        if not await self._gateway.read(conversation, limit=1):
            await self._do.write(conversation, fresh_session(time.time(), self._do.program(), self._model()))
        scored = () if body.confidence is None else (Scored(name=body.name, score=body.confidence),)
        chosen = Predicted(action=body.name, policy=body.policy or BY_HAND, candidates=scored)
        done = await self._do.act(conversation, chosen)
        messages = [fact.event.message for fact in done if isinstance(fact.event, Replied)]
        said = rasa_messages(messages, conversation).model_dump(exclude_none=True) if messages else []
        return await self._result(conversation, said, call.query.include_events)

    async def _result(self, conversation: str, said: list[dict[str, Any]], include: Include) -> Answer:
        tracker = await self._now(conversation, include)
        return Answer(200, shapes.RasaResult(tracker=tracker, messages=said), exclude_none=False)

    # Predicting

    async def _predict(self, call: Call[None, shapes.IncludeQuery]) -> Answer:
        conversation = call.segments.conversation
        history = await self._history(conversation)
        if not history:
            raise NotFound(f"there is no conversation {conversation!r}")
        return await self._predicted(conversation, history, call.query.include_events)

    async def _predict_events(self, call: Call[shapes.EventList, shapes.IncludeQuery]) -> Answer:
        history = list(records(_checked(call.body.root), Conversation(id="default"), time.time()))
        return await self._predicted("default", history, call.query.include_events)

    async def _predicted(self, conversation: str, history: Sequence[Recorded], include: Include) -> Answer:
        choice = await self._do.predict(history)
        scores = [shapes.ActionScore(action=scored.name, score=scored.score) for scored in choice.scores]
        best = next((each.score for each in scores if each.action == choice.predicted.action), None)
        body = shapes.Prediction(
            scores=scores,
            policy=choice.predicted.policy or None,
            confidence=best,
            tracker=self._tracker(conversation, self._events(history), include),
        )
        return Answer(200, body, exclude_none=False)


def _route(method: Any, path: str, handler: Any, summary: str, *, answer: Any = None, **more: Any) -> Route:
    answers = {200: answer or shapes.Tracker}
    errors = (404, 409, 503, 504)
    own: dict[str, Any] = {"segments": shapes.ConversationPath, "door": "rasa", "errors": errors}
    return Route(method, f"{_ONE}/{path}", handler, summary, answers, **own, **more)


def _is_intent(name: str, program: Program) -> bool:
    return name in program.intents or any(known.partition("/")[0] == name for known in program.intents)


def _checked(events: Sequence[Wire]) -> list[Wire]:
    """Raises: InputError, if there is none, or one that Rasa would not take."""
    if not events:
        raise InputError("give at least one event in the request body")
    for event in events:
        facts(event)
        if event["event"] not in KNOWN:
            raise InputError(f"there is no event {event['event']!r}; known are {', '.join(sorted(KNOWN))}")
    return list(events)
