"""What `bot train` hands to the gate: the project's demands, and a way to play its tests with any bundle."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bot.core.errors import BotError, InputError, SettingsError
from bot.hints import nearest

if TYPE_CHECKING:
    from bot.config import Settings
    from bot.project import Project
    from bot.scenarios import Scenario
    from bot.testing.reading import GoldStory
    from skills.encoder import Encoder
    from training.gate.evidence import Play, Tests
    from training.gate.verdict import Policy

CHECKS = (
    "intent", "entities", "flips", "slices", "calibration", "scope", "noise", "size", "latency", "tests", "labels",
    "improvement", "voice", "forgetting", "support", "silence",
)  # fmt: skip
"""What may be waived, besides the critical intents."""


def policy(project: Project | None, settings: Settings, waived: Sequence[str], *, patch: bool, improve: bool) -> Policy:
    """What the project demands, and what the caller answers for.

    Raises:
        SettingsError: `gate.critical` names an intent that the project does not have.
        InputError: `waived` names neither a check nor a critical intent.
    """
    from training.gate.verdict import Policy

    critical = settings.gate.critical
    known = critical if project is None else project.program.intents
    for name in critical:
        if name not in known:
            raise SettingsError(f"bot.yml: gate.critical: there is no intent {name!r}{nearest(name, known)}")
    for name in waived:
        if name not in (*CHECKS, *critical):
            raise InputError(f"--waive takes {', '.join(CHECKS)} or a critical intent; found {name!r}")
    samples = frozenset(settings.gate.samples)
    return Policy(
        frozenset(critical), frozenset(waived), release="patch" if patch else "normal", improve=improve, samples=samples
    )


def player(project: Project | None, encoder: Encoder) -> Play | None:
    """Plays the project's test conversations and test stories; None where it has none."""
    if project is None:
        return None
    from bot.scenarios import read_scenarios
    from bot.testing.reading import read_stories

    scenarios, stories = read_scenarios(project.root), read_stories(project.root)
    if not scenarios and not stories:
        return None
    return lambda folder: asyncio.run(_played(project.root, folder, encoder, scenarios, stories))


async def _played(
    root: Path, folder: Path, encoder: Encoder, scenarios: Sequence[Scenario], stories: Sequence[GoldStory]
) -> Tests:
    """By name, whether each passed; all failed where the skills cannot run this project (any more)."""
    from bot.app import Wiring, open_bot
    from bot.scenarios import play
    from bot.telemetry import configure_logging
    from bot.testing.playing import Subject, play_stories

    configure_logging("warning", json=False)
    try:
        with tempfile.TemporaryDirectory() as place:
            wiring = Wiring(log=Path(place) / "log.db", models=folder, encoder=encoder, patient=True)
            async with open_bot(root, wiring) as bot:
                models = bot.loaded.models
                found = {f"{one.name} ({one.where})": (await play(one, bot.manager)).passed for one in scenarios}
                subject = Subject(models.program, bot.parse, models.rank)
                told = await play_stories(stories, subject, lambda stage, share: None)
                return found | {f"{one.story.name} ({one.story.where})": one.passed for one in told}
    except BotError:
        places = [*((one.name, one.where) for one in scenarios), *((one.name, one.where) for one in stories)]
        return {f"{name} ({where})": False for name, where in places}
