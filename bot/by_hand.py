"""An action that no policy chose: somebody outside asked for it, between two turns.

It is done by the same steps as any other, only that a plan of fixed steps stands in for `decide`.
"""

from __future__ import annotations

from bot.core import events as ev
from bot.core.conversation import Conversation
from bot.core.errors import NotFound
from bot.core.program import Program
from bot.core.responses import render
from bot.core.steps import Listen, Record, Run, Say, Step


class ByHand:
    """Decides: note what was chosen, do it, listen. Used once."""

    def __init__(self, chosen: ev.Predicted) -> None:
        self._chosen = chosen
        self._done = 0

    def __call__(self, conversation: Conversation, program: Program) -> Step:
        """The next step."""
        self._done += 1
        if self._done == 1:
            return Record(events=(self._chosen,))
        return _do(self._chosen.action, conversation, program) if self._done == 2 else Listen()


def _do(action: str, conversation: Conversation, program: Program) -> Step:
    if action in program.responses:
        said = render(action, conversation, program)
        return Say(messages=said, events=(ev.ActionRan(action=action, key=""),))
    return Run(action=action)


def check(action: str, program: Program) -> None:
    """Raises: NotFound, if the action can only be chosen by the bot itself, or by nobody."""
    if action not in program.responses and action not in program.actions:
        raise NotFound(
            f"{action!r} is neither a response nor a custom action of this bot; forms and default actions are for the "
            "bot to choose: trigger an intent that leads to them"
        )
