"""The questions of an interactive session: is this what I meant, is this what you should do?

An empty answer says yes. A number chooses from the list shown, a name chooses by name, `?` lists all names. Whoever
asks only needs two functions, one that shows a line and one that reads one; when there is no more to read, everything
counts as right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bot.core.defaults import DEFAULT_ACTIONS
from bot.core.errors import ProjectError
from bot.core.events import Entity, Predicted, Scored, Understood
from bot.core.program import Program
from bot.core.rasa.stories import annotate
from bot.core.script import LISTEN, NLU_FALLBACK
from bot.hints import nearest
from bot.project.markup import parse_markup

_SHOWN = 5


@dataclass
class Asker:
    """Asks a person. `read` gives a line, None at the end; `over` tells that the end was reached."""

    program: Program
    show: Callable[[str], None]
    read: Callable[[str], str | None]
    over: bool = False
    intents: tuple[str, ...] = field(init=False)
    actions: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        script = self.program.script
        forms = tuple(script.forms) if script else ()
        names = {*self.program.actions, *self.program.responses, *forms, *DEFAULT_ACTIONS, LISTEN}
        self.intents = tuple(sorted({*self.program.intents, NLU_FALLBACK}))
        self.actions = tuple(sorted(names))

    def ask(self, prompt: str) -> str:
        """The answer to a question; empty at the end."""
        answer = None if self.over else self.read(prompt)
        self.over = self.over or answer is None
        return (answer or "").strip()

    def understood(self, found: Understood, counted: str) -> Understood | None:
        """What the message really means; None when it was understood rightly. `counted` is the intent it counts as."""
        ranked = found.intents[:_SHOWN]
        sure = ranked[0].score if ranked else 0.0
        self.show(f"  intent    {counted} ({sure:.2f}){_listed(ranked)}")
        intent = self.choose("  right? Enter, a number, or the right intent: ", ranked, self.intents) or counted
        entities = self.entities(found)
        if intent == counted and entities == found.entities:
            return None
        scored = () if intent == NLU_FALLBACK else (Scored(name=intent, score=1.0),)
        changes = {"intents": scored, "in_scope": 1.0 if scored else 0.0, "entities": entities, "bundle": ""}
        return found.model_copy(update=changes)

    def entities(self, found: Understood) -> tuple[Entity, ...]:
        """The right entities, as the person marks them in the text."""
        if not self.program.entities:
            return found.entities
        self.show(f"  entities  {annotate(found.text, found.entities)}")
        while answer := self.ask("  right? Enter, or the text with the right marks, [Rome](city): "):
            try:
                marked = parse_markup(answer)
            except ProjectError as error:
                self.show(f"  {error}")
                continue
            unknown = [entity.type for entity in marked.entities if entity.type not in self.program.entities]
            if marked.text != found.text:
                self.show(f"  the text itself must stay as it is: {found.text}")
            elif unknown:
                self.show(f"  the domain has no entity {unknown[0]!r}{nearest(unknown[0], self.program.entities)}")
            else:
                return marked.entities
        return found.entities

    def predicted(self, event: Predicted) -> str | None:
        """The action that should be next; None when the one chosen is right."""
        ranked = event.candidates[:_SHOWN]
        reason = f": {event.reason}" if event.reason else ""
        sure = f" {ranked[0].score:.2f}" if ranked else ""
        self.show(f"  next      {event.action} ({event.policy}{reason}{sure}){_listed(ranked)}")
        chosen = self.choose("  right? Enter, a number, or the right action: ", ranked, self.actions)
        return None if chosen in ("", event.action) else chosen

    def choose(self, prompt: str, ranked: Sequence[Scored], names: Sequence[str]) -> str:
        """One of the names; empty for what was offered."""
        while answer := self.ask(prompt):
            if answer == "?":
                self.show("  " + ", ".join(names))
            elif answer.isdecimal() and 0 < int(answer) <= len(ranked):
                return ranked[int(answer) - 1].name
            elif answer in names:
                return answer
            else:
                self.show(f"  there is no {answer!r}{nearest(answer, names)}; ? lists all names")
        return ""


def _listed(ranked: Sequence[Scored]) -> str:
    if len(ranked) < 2:
        return ""
    return "   " + "  ".join(f"{number}) {item.name} {item.score:.2f}" for number, item in enumerate(ranked, start=1))
