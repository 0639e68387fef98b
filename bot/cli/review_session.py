"""A person judges turns one after another: a key decides, a few keys change something first.

Whoever runs it gives three functions: one that shows a line, one that reads a key, one that reads a line of text. At
the end of the input everything stops; what was decided before is stored already.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.core.errors import InputError
from bot.core.events import Entity, Understood

if TYPE_CHECKING:
    from bot.teaching.asking import Asker
    from training.judgements import Decision
    from training.review import Batch
    from training.review_items import Item, Said

HELP = (
    "a accept  1-3 pick  r relabel  o none of ours  n new intent  s spans  x hide words  d not usable  u undo  q quit"
)
WHY = {
    "margin": "the model can hardly decide",
    "diverse": "unlike what was asked before",
    "disagreement": "the newer models answer otherwise",
    "implicit": "something went wrong here",
    "audit": "drawn at random",
    "second": "somebody else has judged it; do you agree?",
}
_NAME = re.compile(r"[a-z][a-z0-9_]*(/[a-z0-9_]+)?")
_SHOWN = 9

Store = Callable[["Decision", "Item"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Terminal:
    """How to talk to the person. `key` and `line` give None at the end of the input."""

    show: Callable[[str], None]
    key: Callable[[str], str | None]
    line: Callable[[str], str | None]


@dataclass
class Draft:
    """What was changed about a turn before it is decided."""

    entities: tuple[Entity, ...] | None = None
    hidden: tuple[tuple[int, int], ...] = ()


@dataclass
class Session:
    """One sitting. `done` are the decisions that stand, `names` the intents that the project does not have yet."""

    terminal: Terminal
    labels: Mapping[str, str]
    outside: str
    asker: Asker
    store: Store
    done: list[tuple[Item, Decision]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    async def run(self, batch: Batch, keep: Callable[[int], Awaitable[None]]) -> None:
        """Ask until the batch or the input ends. `keep(n)` is called when n items have been decided."""
        await keep(0)
        while len(self.done) < len(batch.items):
            item = batch.items[len(self.done)]
            present(item, self.terminal.show)
            decision = await self._judge(item)
            if decision is None:
                return
            if decision.verdict == "undo":
                await self._undo()
                continue
            try:
                await self.store(decision, item)
            except InputError as error:
                self.terminal.show(f"  {error}")
                continue
            self.done.append((item, decision))
            await keep(len(self.done))

    async def _undo(self) -> None:
        item, decision = self.done.pop()
        await self.store(decision.model_copy(update={"verdict": "undo", "intent": None}), item)
        self.terminal.show(f"  taken back: {decision.intent or decision.verdict}")

    async def _judge(self, item: Item) -> Decision | None:
        """Keys until one decides; None at the end."""
        draft = Draft()
        while (key := self.terminal.key(f"{HELP} > ")) not in (None, "q"):
            decision = self._decide(key or "", item, draft)
            if decision is not None:
                return decision
        return None

    def _decide(self, key: str, item: Item, draft: Draft) -> Decision | None:
        if key == "s":
            draft.entities = self._spans(item)
        elif key == "x":
            draft.hidden += self._hide(item)
        elif key == "d":
            return self._made(item, draft, "reject")
        elif key == "u" and not self.done:
            self.terminal.show("  there is nothing to undo in this sitting")
        elif key == "u":
            return self._made(item, Draft(), "undo")
        elif key == "a" and not item.accepts:
            self.terminal.show("  what the bot understood is no intent of this project; press r")
        elif (intent := self._intent(key, item)) is not None:
            return (
                self._made(item, draft, "accept" if intent == item.accepts else "relabel", intent) if intent else None
            )
        else:
            self.terminal.show(f"  there is no key {key!r}")
        return None

    def _intent(self, key: str, item: Item) -> str | None:
        """The intent that a key means; "" if the person thought better of it, None if the key means none."""
        if key == "a":
            return item.accepts
        if key == "o":
            return self.outside
        if key == "r":
            return self.search()
        if key == "n":
            return self._new()
        picked = key.isdecimal() and 0 < int(key) <= len(item.guesses)
        return item.guesses[int(key) - 1].intent if picked else None

    def _made(self, item: Item, draft: Draft, verdict: str, intent: str | None = None) -> Decision:
        from training.judgements import Decision

        return Decision.model_validate(
            {
                "conversation": item.conversation,
                "turn": item.turn,
                "verdict": verdict,
                "intent": intent,
                "entities": draft.entities,
                "hidden": draft.hidden,
            }
        )

    def search(self) -> str:
        """An intent by its name or parts of it; "" if the person gives up."""
        known = {**self.names, **self.labels, self.outside: "none of the bot's intents"}
        found: list[str] = []
        while answer := (self.terminal.line("  intent (a part of it; ? lists all; empty goes back): ") or "").strip():
            if answer.isdecimal() and 0 < int(answer) <= len(found):
                return found[int(answer) - 1]
            found = sorted(known) if answer == "?" else matches(answer, known)
            if len(found) == 1 and answer != "?":
                self.terminal.show(f"  {found[0]}")
                return found[0]
            shown = found if answer == "?" else found[:_SHOWN]
            listed = "  ".join(f"{number}) {name}" for number, name in enumerate(shown, start=1))
            self.terminal.show(f"  {listed}" if found else f"  no intent is like {answer!r}")
        return ""

    def _new(self) -> str:
        name = new_name(self.terminal.line, self.terminal.show)
        if name and name not in self.labels:
            self.names.setdefault(name, "new")
        return name

    def _spans(self, item: Item) -> tuple[Entity, ...]:
        found = Understood(text=item.text, language=item.language, entities=item.entities)
        return self.asker.entities(found)

    def _hide(self, item: Item) -> tuple[tuple[int, int], ...]:
        words = (self.terminal.line("  words to hide, as they stand in the message: ") or "").strip()
        places = (
            tuple(found.span() for found in re.finditer(re.escape(words), item.text, re.IGNORECASE)) if words else ()
        )
        shown = item.text
        for start, end in places:
            shown = shown[:start] + "\u2588" * (end - start) + shown[end:]
        self.terminal.show(f"  {shown}" if places else "  these words are not in the message")
        return places

    def summary(self) -> dict[str, int]:
        """How many were accepted, relabelled, found not usable, and how many of all were for the audit."""
        counts = Counter(decision.verdict for _, decision in self.done)
        audited = sum(item.reason == "audit" for item, _ in self.done)
        return {
            "judged": len(self.done),
            "accepted": counts["accept"],
            "relabelled": counts["relabel"],
            "not_usable": counts["reject"],
            "audited": audited,
        }


def new_name(line: Callable[[str], str | None], show: Callable[[str], None]) -> str:
    """A name for an intent; "" if the person gives up."""
    while answer := (line("  name of the intent (empty goes back): ") or "").strip():
        name = re.sub(r"[\s-]+", "_", answer.lower())
        if _NAME.fullmatch(name):
            return name
        show("  expected a name like change_address: small letters, digits and _")
    return ""


def matches(query: str, labels: Mapping[str, str]) -> list[str]:
    """Names that a query may mean: the very name, else those that hold all its words, else those spelled alike."""
    if query in labels:
        return [query]
    words = query.casefold().replace("_", " ").split()
    texts = {name: f"{name} {label}".casefold().replace("_", " ") for name, label in labels.items()}
    found = sorted(name for name, text in texts.items() if all(word in text for word in words))
    return found or difflib.get_close_matches(query, list(labels), _SHOWN, 0.6)


def present(item: Item, show: Callable[[str], None]) -> None:
    """All that one needs to see of a turn."""
    show("")
    show(f"[{item.place}/{item.of}] {WHY[item.reason]} ({item.reason})   {item.conversation}, turn {item.turn}")
    _lines(item.before, show)
    show(f">>     user    {item.text}")
    _lines(item.replies, show)
    if item.after:
        show("       then")
        _lines(item.after, show)
    show(
        f"  the bot understood: {item.understood or 'nothing'}"
        + (f"; signs: {', '.join(item.signs)}" * bool(item.signs))
    )
    for number, guess in enumerate(item.guesses, start=1):
        sure = "" if item.shuffled else f"{guess.probability:.2f}  "
        show(f"  {number}) {sure}{guess.intent}  ({guess.label})")
    if item.shuffled:
        show("     (in random order, without figures: this measures how far the order leads people)")
    for near in item.neighbours:
        show(f"     like {near.alike:.2f}  {near.text!r} -> {near.intent}")


def _lines(said: tuple[Said, ...], show: Callable[[str], None]) -> None:
    for line in said:
        show(f"       {line.speaker:<7} {line.text}")
