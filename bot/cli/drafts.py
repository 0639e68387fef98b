"""Answers under way on a terminal, and the switch that has none worded."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from bot.cli.output import console
from bot.core.protocols import Draft

Approved = Annotated[bool, typer.Option("--approved", help="Say approved answers as they are; word none.")]


def say_approved(approved: bool) -> None:
    """Switch the generator off for this process, as its setting in the environment would."""
    if approved:
        os.environ["BOT_GENERATOR__ENABLED"] = "false"


class Drafts:
    """Shows the sentences of an answer as they pass their checks; the whole message is printed over them."""

    def __call__(self, conversation: str, draft: Draft) -> None:
        """See `Followers.show`."""
        if console.is_terminal:
            console.print(f"bot  {draft.text}", style="dim", markup=False, end="\r" if len(draft.text) < 70 else "\n")
