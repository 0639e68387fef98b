"""Serving a project: the bot of `bot.app` behind the server of `bot.server`."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog
from pydantic import JsonValue

from bot.app import Bot, Wiring, open_bot
from bot.rasa_operations import BotOperations
from bot.server.app import build_app
from bot.server.channels import find_channels, not_served
from bot.server.routes import Services
from bot.server.run import serve
from bot.server.settings import ServerSettings
from bot.serving_model import model_channel
from bot.store import SqlStore
from bot.telemetry import Telemetry
from connectors.http import HttpChannel
from connectors.review import ReviewDesk

_RECENT = 7 * 86_400.0
_log = structlog.get_logger("understudy.serving")


async def serve_project(
    root: Path,
    changes: Mapping[str, Any],
    started: Callable[[str], None],
    actions: str | None = None,
    review: Callable[[Bot], ReviewDesk] | None = None,
) -> None:
    """Serve until a signal comes. `changes` override server settings; `started` is told the address.

    `actions` is as in `Wiring`; `review` makes the queue of turns that operators judge.

    Raises:
        BotError: the project, its models or its log cannot be used, or the port is taken.
    """
    telemetry = Telemetry()
    _calm_collector()
    _calm_threads()
    async with open_bot(root, Wiring(observe=telemetry.observe, watch=True, remind=True, actions=actions)) as bot:
        bot.manager.followers.watch(telemetry.see)
        if bot.canary is not None:
            telemetry.watch(bot.canary.figures)
        settings = bot.settings.server.model_copy(update=dict(changes))
        app = build_app(_services(bot, review), settings, _channels(bot, settings), telemetry)
        await serve(app, started=started)


def _channels(bot: Bot, settings: ServerSettings) -> Sequence[HttpChannel]:
    credentials, chosen = bot.loaded.project.credentials, bot.settings.channels
    if warning := not_served(credentials):
        _log.warning(warning)

    async def changed(channel: str, after: int) -> tuple[Sequence[str], int]:
        return await changed_since(bot.store, channel, after)

    found = find_channels(settings.limits, credentials, {name: one.payloads for name, one in chosen}, changed)
    keyed = model_channel(bot, settings.limits)
    served: list[HttpChannel] = [*found, keyed]
    if bot.voice is not None:
        from bot.serving_voice import voice_channel

        served.append(voice_channel(bot, bot.voice, settings.limits, keyed))
    return served


async def changed_since(store: SqlStore, channel: str, after: int) -> tuple[Sequence[str], int]:
    """See `Setup.changed`. What nobody has touched for a week is not taken up again."""
    found: list[str] = []
    newest, before, oldest = after, None, time.time() - _RECENT
    while page := await store.conversations(limit=50 if after else 500, before=before):
        newest = max(newest, page[0].position)
        for summary in page:
            if summary.position <= after or (not after and summary.updated_at < oldest):
                return found, newest
            if summary.channel == channel:
                found.append(summary.id)
        before = page[-1].position
    return found, newest


def _calm_collector() -> None:
    """Look for garbage cycles less often: a turn makes hundreds of values, and hardly any cycle."""
    gc.set_threshold(20_000, 20, 50)


def _calm_threads() -> None:
    """Let a thread work 20 ms, not 5, before another one may take the interpreter from it.

    Under load the event loop, the classifiers and the log's writer all want it, and handing it over costs more than
    waiting for it.
    """
    sys.setswitchinterval(0.02)


def _services(bot: Bot, review: Callable[[Bot], ReviewDesk] | None = None) -> Services:
    async def store() -> bool:
        return await bot.store.writable()

    async def models() -> bool:
        return bool(bot.loaded.bundle.id)

    def in_use() -> Mapping[str, JsonValue]:
        found: dict[str, JsonValue] = {"bundle": bot.loaded.bundle.id, "program": bot.loaded.project.program.id}
        if bot.canary is not None and bot.canary.latest is not None:
            found["canary"] = bot.canary.latest.model_dump(mode="json")
        return found

    operations = BotOperations(bot)
    checks = {"store": store, "models": models}
    return Services(bot.manager, checks, bot.parse, in_use, operations, review(bot) if review else None)
