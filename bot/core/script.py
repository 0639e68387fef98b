"""Rules, stories and forms as a Rasa project writes them, checked and made linear.

`bot.project` expands `or` and checkpoints, so a `Story` is one straight list of steps. A rule's `condition` becomes its
first steps, followed by a `Gap`; a rule that need not start a conversation begins with a `Gap`, one that does not wait
for the user ends with one. Every other rule and story ends with `Did(action="action_listen")`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from bot.core.findings import Scored
from bot.core.messages import Value

LISTEN, FALLBACK, NLU_FALLBACK = "action_listen", "action_default_fallback", "nlu_fallback"
REQUESTED = "requested_slot"
"""The slot that a form asks for."""


class Mention(Value):
    """An entity that a story's message has; a role, group or value of `None` may be anything."""

    type: str
    role: str | None = None
    group: str | None = None
    value: JsonValue = None


class Heard(Value):
    """The user says something: an intent (for a retrieval intent its name before the slash), or a text word by word."""

    kind: Literal["heard"] = "heard"
    intent: str | None = None
    text: str | None = None
    mentions: tuple[Mention, ...] = ()


class Did(Value):
    """The bot does something: a response, a custom action, a form, a default action."""

    kind: Literal["did"] = "did"
    action: str


class Uttered(Value):
    """The bot says a text word by word (an end-to-end story)."""

    kind: Literal["uttered"] = "uttered"
    text: str


class SlotWas(Value):
    """A slot has a value at this point. `None`: it is empty. `any` is set where the story gives no value."""

    kind: Literal["slot_was"] = "slot_was"
    name: str
    value: JsonValue = None
    any: bool = False


class LoopIs(Value):
    """A form is active from here on, or none is (`None`)."""

    kind: Literal["loop_is"] = "loop_is"
    loop: str | None


class Gap(Value):
    """Anything may have happened here: `...` of a rule."""

    kind: Literal["gap"] = "gap"


StoryStep = Annotated[Heard | Did | Uttered | SlotWas | LoopIs | Gap, Field(discriminator="kind")]


class Story(Value):
    """One straight rule or story. `where` is its place, `data/rules.yml:12`."""

    name: str
    steps: tuple[StoryStep, ...]
    rule: bool = False
    where: str = ""


class Form(Value):
    """Slots to be filled, in the order in which they are asked for."""

    name: str
    required: tuple[str, ...] = ()
    ignored_intents: tuple[str, ...] = ()


class Session(Value):
    """When a new session begins. `expires` is in minutes without a message; 0: never."""

    expires: float = 60.0
    carry_over: bool = True


class Script(Value):
    """What a Rasa project says about what to do next.

    `history` is how many states stories remember (`None`: all). `fallback_below` is what the ranking must reach;
    With `nlu_fallback`, a message counts as not understood where its best intent's probability is below `threshold` or
    less than `ambiguity` above the next one's, besides the limit that is fitted on data (`None`: that limit alone).
    """

    rules: tuple[Story, ...] = ()
    stories: tuple[Story, ...] = ()
    forms: dict[str, Form] = {}
    session: Session = Session()
    history: int | None = None
    fallback_action: str = FALLBACK
    fallback_below: float = 0.3
    fallback: bool = True
    nlu_fallback: bool = True
    threshold: float | None = None
    ambiguity: float | None = None
    ranks: bool = True

    def doubts(self, intents: Iterable[Scored]) -> bool:
        """Whether the thresholds say that this ranking is no understanding. Retrieval intents count as one."""
        scores: dict[str, float] = {}
        for scored in intents:
            base = scored.name.partition("/")[0]
            scores[base] = scores.get(base, 0.0) + scored.score
        best, second, *_ = *sorted(scores.values(), reverse=True), 0.0, 0.0
        return self.nlu_fallback and (best < (self.threshold or 0.0) or best - second < (self.ambiguity or 0.0))

    @cached_property
    def by_intent(self) -> Mapping[str, tuple[Story, ...]]:
        """The rules and stories in which an intent occurs."""
        found: dict[str, list[Story]] = {}
        for story in (*self.rules, *self.stories):
            for name in {step.intent for step in story.steps if isinstance(step, Heard) and step.intent}:
                found.setdefault(name, []).append(story)
        return {name: tuple(stories) for name, stories in found.items()}
