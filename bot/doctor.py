"""Looks at everything a bot needs and says what is wrong and how to mend it. Changes nothing."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import socket
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Literal
from urllib.parse import urlsplit

from bot.app import index_folder, load_encoder, load_index, model_store
from bot.core.errors import BotError
from bot.generating import open_speaker
from bot.project import Project, load_project
from skills.remote_generator import RemoteGenerator

State = Literal["ok", "warning", "error"]
_PACKAGES = (
    "aiohttp",
    "faiss-cpu",
    "numpy",
    "onnxruntime",
    "pydantic",
    "rasa-sdk",
    "sqlmodel",
    "torch",
    "transformers",
)
_LEAST_FREE = 1 << 30
"""Bytes of disk below which we warn."""
_FAST_SYNC = 20e-6
"""Seconds: a disk that claims to have synced faster than this has most likely not."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `fix` says what to do when it is not ok."""

    what: str
    state: State
    found: str
    fix: str = ""


def examine(root: Path) -> Iterator[Finding]:
    """Look at the machine, then at the project in `root`."""
    yield _python()
    yield _packages()
    yield _disk_space(root)
    yield _disk_sync(root)
    try:
        project = load_project(root)
    except BotError as error:
        yield Finding("project", "error", str(error), "mend the files named")
        return
    yield _project(project)
    yield from _guarded("action server", lambda: _action_server(project), "see docs/actions.md")
    yield from _guarded(
        "encoder", lambda: _encoder(project), "install the packages again, or mend `encoder:` in bot.yml"
    )
    yield from _guarded("models", lambda: _models(project), f"train again, or: bot models rollback -p {root}")
    yield from _guarded("knowledge index", lambda: _index(project), f"build it again: bot ingest -p {root}")
    yield from _guarded("generator", lambda: _generator(project), "mend `generator:` in bot.yml; docs/generator.md")
    yield from _guarded("speaker", lambda: _speaker(project), "mend `voice.speaker` in bot.yml; docs/speaking.md")
    yield _log(project)
    yield _port(project)


def _guarded(what: str, look: Callable[[], Finding], fix: str) -> Iterator[Finding]:
    try:
        yield look()
    except BotError as error:
        yield Finding(what, "error", str(error), fix)


def _python() -> Finding:
    found = (
        f"{platform.python_implementation()} {platform.python_version()} on {platform.system()} {platform.machine()}"
    )
    good = sys.version_info >= (3, 11)
    return Finding("python", "ok" if good else "error", found, "" if good else "install Python 3.11 or newer")


def _packages() -> Finding:
    found, missing = [], []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return Finding("packages", "error", f"missing: {', '.join(missing)}", "install again: make install")
    return Finding("packages", "ok", ", ".join(found))


def _disk_space(root: Path) -> Finding:
    free = shutil.disk_usage(root).free
    state: State = "ok" if free >= _LEAST_FREE else "warning"
    return Finding("disk space", state, f"{free / 2**30:.1f} GiB free", "" if state == "ok" else "make room")


def _disk_sync(root: Path) -> Finding:
    """How long the disk takes to make a small write durable; the price of an acknowledged message."""
    seconds = []
    with tempfile.TemporaryFile(dir=root) as file:
        for _ in range(15):
            file.write(b"x" * 4096)
            file.flush()
            start = time.perf_counter()
            os.fsync(file.fileno())
            seconds.append(time.perf_counter() - start)
    typical = median(seconds)
    found = f"a write is durable in {typical * 1000:.2f} ms (median of {len(seconds)})"
    if typical < _FAST_SYNC:
        return Finding("disk sync", "warning", found, "this disk may not really sync; a power cut could lose messages")
    return Finding("disk sync", "ok", found)


def _project(project: Project) -> Finding:
    program = project.program
    found = (
        f"{len(program.intents)} intents, {len(project.nlu.examples)} examples, {len(program.flows)} flows, "
        f"{len(program.responses)} responses, {len(project.warnings)} warnings"
    )
    if project.warnings:
        return Finding("project", "warning", found, "; ".join(str(warning) for warning in project.warnings[:5]))
    return Finding("project", "ok", found)


def _action_server(project: Project) -> Finding:
    endpoint = project.endpoints.action
    if endpoint is None:
        return Finding("action server", "ok", "none; actions run in this process")
    url = urlsplit(endpoint.url)
    host, port = url.hostname or "", url.port or (443 if url.scheme in ("https", "grpcs") else 80)
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError as error:
        fix = "start it (bot actions), or run the actions in this process: bot serve --actions actions"
        return Finding("action server", "warning", f"{host}:{port}: {error.strerror or error}", fix)
    return Finding("action server", "ok", f"{host}:{port} answers")


def _encoder(project: Project) -> Finding:
    encoder = load_encoder(project.settings, project.root)
    vector = encoder.run(["ready"])[0].vector
    print_of = ", ".join(f"{key} {value[:16]}" for key, value in encoder.fingerprint.items())
    return Finding("encoder", "ok", f"{vector.shape[0]} dimensions; {print_of}")


def _models(project: Project) -> Finding:
    bundle = model_store(project.settings, project.root).open_current()
    if bundle is None:
        return Finding("models", "warning", "none yet", f"bot train {project.root}")
    return Finding("models", "ok", f"{bundle.id}, {len(bundle.manifest.files)} files verified")


def _index(project: Project) -> Finding:
    folder = index_folder(project.settings, project.root)
    if not (folder / "CURRENT").exists():
        state: State = "warning" if project.knowledge else "ok"
        return Finding("knowledge index", state, "none yet", "bot ingest" if project.knowledge else "")
    index = load_index(project, load_encoder(project.settings, project.root))
    return Finding("knowledge index", "ok", f"verified; relevance floor {index.floor:.2f}" if index else "none")


def _generator(project: Project) -> Finding:
    """What words the answers, opened as the server would."""
    settings, chosen = project.settings, project.settings.generator
    if not chosen.enabled or not (chosen.model or chosen.base_url):
        return Finding("generator", "ok", "none; answers are said as approved")
    bundle = model_store(settings, project.root).open_current()
    found = None if bundle is None else asyncio.run(_opened(project, bundle.path))
    if found is None:
        fix = f"its gate has not passed, or it was not trained: bot train {project.root}"
        return Finding("generator", "warning", f"{chosen.model} does not speak yet; answers are said as approved", fix)
    return Finding("generator", "ok", found)


async def _opened(project: Project, bundle: Path) -> str | None:
    settings, state = project.settings.generator, project.settings.state_folder(project.root)
    speaker = await open_speaker(settings, bundle, state, load_encoder(project.settings, project.root))
    if speaker is None:
        return None
    try:
        if isinstance(speaker.generator, RemoteGenerator):
            await speaker.generator.check()
        return speaker.generator.id
    finally:
        await speaker.close()


def _speaker(project: Project) -> Finding:
    """What says the answers of calls: it must say a word."""
    if not project.settings.voice.enabled:
        return Finding("speaker", "ok", "none; calls are not taken")
    who, faults = asyncio.run(_spoke(project))
    if faults:
        return Finding(
            "speaker", "warning", "; ".join(faults), "its fallback speaks; mend `voice` in bot.yml or start it"
        )
    return Finding("speaker", "ok", f"{who} speaks")


async def _spoke(project: Project) -> tuple[str, list[str]]:
    from bot.speaking import check_speaker, open_speaker_of

    voice = project.settings.voice
    speaker = await open_speaker_of(voice)
    try:
        return speaker.id, await check_speaker(speaker, voice.language or project.settings.languages[0])
    finally:
        await speaker.close()


def _log(project: Project) -> Finding:
    path = project.settings.log_file(project.root)
    if not path.exists():
        return Finding("log", "ok", f"{path} will be made at the first message")
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=2)) as database:
            mode = database.execute("PRAGMA journal_mode").fetchone()[0]
            fault = database.execute("PRAGMA quick_check(1)").fetchone()[0]
            events = database.execute("SELECT max(position) FROM events").fetchone()[0] or 0
    except sqlite3.Error as error:
        return Finding("log", "error", f"{path}: {error}", "restore it from a backup")
    if fault != "ok" or mode != "wal":
        return Finding("log", "error", f"{path}: journal {mode}, check: {fault}", "restore it from a backup")
    return Finding("log", "ok", f"{path}: {events} events, journal wal, check ok")


def _port(project: Project) -> Finding:
    server = project.settings.server
    where = f"{server.host}:{server.port}"
    try:
        with socket.create_server((server.host, server.port)):
            return Finding("port", "ok", f"{where} is free")
    except OSError as error:
        return Finding("port", "warning", f"{where}: {error.strerror}", "a bot may be running; else use --port")
