"""Logged turns as one can read them: what was said, understood, shown, pressed, answered and judged.

Made from facts alone, so live, imported and scripted (Rasa) conversations look the same. There is no clock: how long a
user has been silent is counted up to the last fact of the log that is given. Times are seconds since 1970 UTC.
`events` of a turn names the facts behind it by their position in the log (by `seq` where the log gave none yet).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from bot.core import events as ev
from bot.core.conversation import CLARIFICATION
from bot.core.filling import pressed
from bot.core.messages import Choice
from bot.core.script import NLU_FALLBACK

_CLARIFIES = (CLARIFICATION, "action_default_ask_affirmation")
_NO_TASK = ("action_two_stage_fallback",)
"""Forms of a script that are no task of the user's."""
_DROPS_FORM = "action_deactivate_loop"


@dataclass(frozen=True, slots=True)
class Reply:
    """A message to the user. `by_person`: somebody wrote it after a hand-off. `passages` are the chunks it quotes."""

    message: str
    text: str
    at: float
    event: int
    by_person: bool = False
    passages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rating:
    """A judgement of a reply of the turn, -1..1."""

    score: float
    by: str
    event: int


@dataclass(frozen=True, slots=True)
class Correction:
    """What would have been right in the turn; see `bot.core.events.Corrected`."""

    intent: str | None
    reply: str | None
    source: str
    audit: bool
    event: int
    by: str = ""
    usable: bool = True


@dataclass(frozen=True, slots=True)
class LoggedTurn:
    """One message of a user and what became of it.

    `user` is the sender's id as the log has it. `intent` is the one that was acted on, "" where none was accepted;
    `candidates` all with their scores. `actions` are the routes or script actions chosen. `offered` are the buttons
    shown in this turn; `clarified` says that they asked "did you mean". `pressed` is the button that this turn pressed,
    of turn `pressed_in`. `began` are tasks (flows, forms) that began here, `completed` maps those that began here and
    were completed to the turn of their end; only tasks in which the user answered a question are counted there.
    `beside_person`: a person had the conversation when the message came. `ended` tells why the conversation ended
    after this turn. `quiet` are the seconds until the user's next message, or until the log ends (`last`).
    """

    conversation: str
    turn: int
    user: str = ""
    channel: str = ""
    at: float = 0.0
    text: str = ""
    language: str = ""
    source: str = ""
    intent: str = ""
    in_scope: float = 0.0
    candidates: tuple[ev.Scored, ...] = ()
    bundle: str = ""
    actions: tuple[ev.Predicted, ...] = ()
    offered: tuple[Choice, ...] = ()
    clarified: bool = False
    pressed: Choice | None = None
    pressed_in: int = 0
    replies: tuple[Reply, ...] = ()
    ratings: tuple[Rating, ...] = ()
    corrections: tuple[Correction, ...] = ()
    began: tuple[str, ...] = ()
    asked: bool = False
    completed: Mapping[str, int] = field(default_factory=dict)
    handed_off: bool = False
    beside_person: bool = False
    outcome: str = ""
    ended: str = ""
    quiet: float = 0.0
    last: bool = True
    events: Mapping[str, int] = field(default_factory=dict)

    @property
    def said(self) -> bool:
        """Whether the user wrote or spoke words of their own that one can learn from; a press is none."""
        own = bool(self.text.strip()) and self.pressed is None and self.source in ("model", "")
        return own and (not self.corrections or self.corrections[-1].usable)

    @property
    def judgement(self) -> float:
        """What people thought of the replies: the last rating, 0 without one."""
        return self.ratings[-1].score if self.ratings else 0.0

    @property
    def answered_at(self) -> float:
        """When the last reply of the turn came; when the message came, if there was none."""
        return max((reply.at for reply in self.replies), default=self.at)

    @property
    def answer(self) -> str:
        """What the bot replied, in one text."""
        return "\n".join(reply.text for reply in self.replies if not reply.by_person)

    def evidence(self, *kinds: str) -> tuple[int, ...]:
        """The positions of the message itself and of the named kinds of facts, in order, each once."""
        found = [self.events[kind] for kind in ("received", *kinds) if kind in self.events]
        return tuple(sorted(set(found)))


def turns(history: Iterable[ev.Recorded]) -> list[LoggedTurn]:
    """All turns of a log: conversation by conversation, in the order in which they began.

    `history` holds the facts of any conversations, each conversation's in order. What came before an erasure is gone.
    """
    talks: dict[str, _Reader] = {}
    until = 0.0
    for recorded in history:
        if isinstance(recorded.event, ev.Erased) or recorded.conversation not in talks:
            talks[recorded.conversation] = _Reader()
        talks[recorded.conversation].take(recorded)
        until = max(until, recorded.at)
    return [turn for reader in talks.values() for turn in reader.read(until)]


def conversations(found: Iterable[LoggedTurn]) -> dict[str, list[LoggedTurn]]:
    """Turns by conversation."""
    talks: dict[str, list[LoggedTurn]] = {}
    for turn in found:
        talks.setdefault(turn.conversation, []).append(turn)
    return talks


class _Draft:
    """A turn while it is read."""

    def __init__(self, recorded: ev.Recorded) -> None:
        self.recorded = recorded
        self.understood: ev.Understood | None = None
        self.text = ""
        self.pressed: tuple[Choice | None, int] = (None, 0)
        self.completed: dict[str, int] = {}
        self.actions: list[ev.Predicted] = []
        self.offered: list[Choice] = []
        self.replies: list[Reply] = []
        self.ratings: list[Rating] = []
        self.corrections: list[Correction] = []
        self.began: list[str] = []
        self.events: dict[str, int] = {}
        self.clarified = self.asked = self.handed_off = self.beside = self.fell_back = False
        self.outcome = self.ended = ""

    def correct(self, event: ev.Corrected, place: int) -> None:
        """Note a correction; one that is withdrawn takes those of the same person with it."""
        if event.withdrawn:
            said = (event.source, event.by)
            self.corrections = [one for one in self.corrections if (one.source, one.by) != said]
        else:
            found = (event.intent, event.reply, event.source, event.audit, place, event.by, event.usable)
            self.corrections.append(Correction(*found))

    def made(self, user: str, channel: str, quiet: float, last: bool) -> LoggedTurn:
        found = self.understood or ev.Understood(text="", language="")
        accepted = found.accepted and not self.fell_back
        return LoggedTurn(
            conversation=self.recorded.conversation,
            turn=self.recorded.turn,
            user=user,
            channel=channel,
            at=self.recorded.at,
            text=self.text,
            language=found.language,
            source=found.source if self.understood else "",
            intent=found.intents[0].name if accepted else "",
            in_scope=found.in_scope,
            candidates=found.intents,
            bundle=found.bundle,
            actions=tuple(self.actions),
            offered=tuple(self.offered),
            clarified=self.clarified,
            pressed=self.pressed[0],
            pressed_in=self.pressed[1],
            replies=tuple(self.replies),
            ratings=tuple(self.ratings),
            corrections=tuple(self.corrections),
            began=tuple(self.began),
            asked=self.asked,
            completed=self.completed,
            handed_off=self.handed_off,
            beside_person=self.beside,
            outcome=self.outcome,
            ended=self.ended,
            quiet=quiet,
            last=last,
            events=self.events,
        )


class _Reader:
    """Reads one conversation, fact by fact."""

    def __init__(self) -> None:
        self.drafts: dict[int, _Draft] = {}
        self.said: dict[str, int] = {}
        self.open: dict[str, tuple[int, int]] = {}  # tasks: where each began, and where it asked first (0: nowhere)
        self.offering: list[int] = []
        self.channel = self.sender = ""
        self.form: str | None = None
        self.with_person = False

    def take(self, recorded: ev.Recorded) -> None:
        event = recorded.event
        if isinstance(event, ev.Started):
            self.channel, self.sender = event.channel, event.sender
        elif isinstance(event, ev.Received):
            heard = self.drafts[recorded.turn] = _Draft(recorded)
            heard.text, heard.beside = event.message.text, self.with_person
            heard.pressed = self._press(event.message.text)
            heard.events["received"] = _place(recorded)
        elif isinstance(event, ev.Rated | ev.Corrected):
            self._judged(recorded, event)
        elif isinstance(event, ev.HandedOff | ev.Resumed):
            self._person(recorded, isinstance(event, ev.HandedOff))
        elif (draft := self._draft(recorded)) is not None:
            self._of_turn(draft, recorded)

    def _draft(self, recorded: ev.Recorded) -> _Draft | None:
        """The turn that a fact belongs to; what happens after the last one belongs to it."""
        found = self.drafts.get(recorded.turn)
        if found is None and self.drafts and recorded.turn > 0:
            found = self.drafts[max(self.drafts)]
        return found

    def _press(self, text: str) -> tuple[Choice | None, int]:
        for number in reversed(self.offering):
            choice = pressed(text, self.drafts[number].offered) if text.strip() else None
            if choice is not None:
                return choice, number
        return None, 0

    def _judged(self, recorded: ev.Recorded, event: ev.Rated | ev.Corrected) -> None:
        target = event.target if isinstance(event, ev.Corrected) else self.said.get(event.message, 0)
        draft = self.drafts.get(target)
        if draft is None:
            return
        place = _place(recorded)
        if isinstance(event, ev.Rated):
            draft.ratings.append(Rating(event.score, event.by, place))
        else:
            draft.correct(event, place)
        draft.events[event.kind] = place

    def _person(self, recorded: ev.Recorded, takes: bool) -> None:
        self.with_person = takes
        draft = self._draft(recorded)
        if draft is not None and takes:
            draft.handed_off = True
            draft.events["handed_off"] = _place(recorded)
            self.open.clear()  # flows are closed as completed when a person takes over: that is no success

    def _of_turn(self, draft: _Draft, recorded: ev.Recorded) -> None:
        event, place = recorded.event, _place(recorded)
        match event:
            case ev.Transcribed():
                draft.text = event.text
            case ev.Understood() if draft.understood is None:
                draft.understood = event
            case ev.Extracted():
                draft.fell_back = event.intent == NLU_FALLBACK
            case ev.Predicted():
                draft.actions.append(event)
            case ev.Replied():
                self._replied(draft, recorded, event)
            case ev.FlowEntered() | ev.FlowLeft() | ev.Asked() | ev.LoopChanged() | ev.SlotSet():
                self._task(draft, recorded, event)
            case ev.Restarted() | ev.SessionStarted():
                self.form = None
                self.open.clear()
            case ev.Settled():
                draft.outcome = event.outcome
            case ev.Ended():
                draft.ended = event.reason or "ended"
            case _:
                return
        draft.events[event.kind] = place

    def _replied(self, draft: _Draft, recorded: ev.Recorded, event: ev.Replied) -> None:
        message = event.message
        self.said[message.id] = draft.recorded.turn
        passages = tuple(source.chunk for source in message.sources)
        by_person = self.with_person and message.name is None
        draft.replies.append(Reply(message.id, message.text, recorded.at, _place(recorded), by_person, passages))
        if offers := [choice for choice in message.offers if choice.url is None]:
            draft.offered += offers
            self.offering.append(draft.recorded.turn)
        draft.clarified = draft.clarified or message.name in _CLARIFIES

    def _task(self, draft: _Draft, recorded: ev.Recorded, event: ev.Event) -> None:
        turn = draft.recorded.turn
        match event:
            case ev.FlowEntered():
                self._begin(draft, event.flow)
            case ev.Asked():
                draft.asked = True
                self._asks(event.flow, turn)
            case ev.FlowLeft():
                self._end(event.flow, turn, event.reason == "completed")
            case ev.LoopChanged(loop=str() as loop) if loop not in _NO_TASK:
                self.form = loop
                self._begin(draft, loop)
            case ev.LoopChanged(loop=None) if self.form is not None:
                dropped = any(action.action == _DROPS_FORM for action in draft.actions)
                self._end(self.form, turn, not dropped)
                self.form = None
            case ev.SlotSet(name="requested_slot", value=str()) if self.form is not None:
                draft.asked = True
                self._asks(self.form, turn)
            case _:
                pass

    def _begin(self, draft: _Draft, task: str) -> None:
        draft.began.append(task)
        self.open[task] = (draft.recorded.turn, 0)

    def _asks(self, task: str, turn: int) -> None:
        if task in self.open:
            self.open[task] = (self.open[task][0], self.open[task][1] or turn)

    def _end(self, task: str, turn: int, completed: bool) -> None:
        began, asked = self.open.pop(task, (0, 0))
        if completed and asked and turn > asked and began in self.drafts:
            self.drafts[began].completed[task] = turn

    def read(self, until: float) -> Iterable[LoggedTurn]:
        numbers = sorted(self.drafts)
        after = dict(pairwise(numbers))
        for number in numbers:
            draft, following = self.drafts[number], after.get(number)
            heard = draft.recorded.event
            channel = heard.channel if isinstance(heard, ev.Received) and heard.channel else self.channel
            end = until if following is None else self.drafts[following].recorded.at
            quiet = max(0.0, end - max((reply.at for reply in draft.replies), default=draft.recorded.at))
            yield draft.made(self.sender, channel, quiet, following is None)


def _place(recorded: ev.Recorded) -> int:
    return recorded.position or recorded.seq


def texts(found: Sequence[LoggedTurn]) -> list[str]:
    """The distinct texts that users said in their own words, in order."""
    return list(dict.fromkeys(turn.text for turn in found if turn.said))
