"""Serving: uvloop, signals and a stop that loses nothing.

On SIGTERM or SIGINT the listening socket closes first, turns in progress finish, WebSockets close with 1012 (their
clients come back and resume), and the process ends within ten seconds. A second signal ends it at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import structlog
from aiohttp import web

from bot.core.errors import SettingsError
from bot.server.app import SETTINGS
from bot.server.settings import ServerSettings

T = TypeVar("T")
_log = structlog.get_logger("understudy.server")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on uvloop, or on asyncio's own loop where there is no uvloop."""
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if sys.platform != "win32":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


async def serve(
    app: web.Application, stop: asyncio.Event | None = None, started: Callable[[str], None] | None = None
) -> None:
    """Serve until `stop` is set or a signal comes; `started` is told the address once we listen.

    Raises:
        SettingsError: the port is taken or the host is not ours.
    """
    settings = app[SETTINGS]
    runner = make_runner(app)
    await runner.setup()
    try:
        url = await _listen(runner, settings)
        _log.info("listening", url=url)
        if started:
            started(url)
        await _until(stop or asyncio.Event())
        _log.info("stopping")
    finally:
        await runner.cleanup()


def make_runner(app: web.Application) -> web.AppRunner:
    """What runs the application: no access log (its lines would hold conversation ids), bounded waits."""
    return web.AppRunner(
        app,
        access_log=None,
        logger=_QUIET,
        shutdown_timeout=app[SETTINGS].limits.drain_seconds,
        lingering_time=1.0,
        keepalive_timeout=75.0,
    )


class _OneLine(logging.Filter):
    """Bytes that are not HTTP are worth a debug line, not a traceback with what a stranger sent."""

    def filter(self, record: logging.LogRecord) -> bool:
        kind = type(record.exc_info[1]).__name__ if record.exc_info else record.levelname
        _log.debug("connection_error", kind=kind)
        return False


_QUIET = logging.getLogger("understudy.server.connections")
_QUIET.addFilter(_OneLine())


async def _listen(runner: web.AppRunner, settings: ServerSettings) -> str:
    site = web.TCPSite(runner, settings.host, settings.port, backlog=1_024)
    try:
        await site.start()
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise SettingsError(
            f"cannot listen on {where} ({error.strerror or error}); if another bot runs there, choose another port "
            "with --port or 'server: port:' in bot.yml"
        ) from None
    host, port = runner.addresses[0][:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _until(stop: asyncio.Event) -> None:
    """Wait for `stop` or a signal; a second signal ends the process."""
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal)
    await stop.wait()
