"""`POST /model/train`: a project that comes as one YAML text, trained by a process of its own.

The text is laid out as a project folder, with the endpoints, actions and settings of the project that is served; the
child process is `bot train` on that folder. What comes of it is kept below the state folder, where `PUT /model` finds
it, and is answered as an archive of the whole folder, which `bot serve` can serve anywhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from bot.bundles import BundleStore
from bot.core.errors import InputError, ProjectError, SkillError
from bot.manifest import ID
from bot.project import Project, load_project
from bot.yaml import parse_yaml
from connectors.rasa_api.models import as_yaml
from connectors.rasa_api.operations import NotNow, Order, Trained

KEPT = "trained"
_STATE = ".bot"
_CONFIG = ("recipe", "assistant_id", "language", "pipeline", "policies", "importers")
_DATA = ("nlu", "stories", "rules", "flows")
_OWN = ("endpoints.yml", "actions.py", "actions")
_SECRET = ("endpoints.yml", "bot.yml")
"""What may hold secrets, and is not handed out."""
_COMMAND = "from bot.cli.main import main; main()"


class Trainer:
    """Trains one project at a time. `root` is the project that is served, `state` its state folder."""

    def __init__(self, root: Path, state: Path) -> None:
        self._root, self._kept = root, state / KEPT
        self.active = 0

    async def train(self, order: Order) -> Trained:
        """Train and pack.

        Raises:
            NotNow: another training is under way.
            UserError: the text is no sound project.
            SkillError: the training failed.
        """
        if self.active:
            raise NotNow("a training is under way already; wait for it, GET /status tells when it is over")
        self.active += 1
        try:
            with self._workshop() as folder:
                await asyncio.to_thread(self._lay_out, folder, order.text)
                bundle = await _run(folder)
                content = await asyncio.to_thread(_pack, folder, bundle)
                if order.save:
                    await asyncio.to_thread(_keep, folder, self._kept / bundle)
            return Trained(f"{bundle}.tar.gz", content)
        finally:
            self.active -= 1

    def find(self, name: str) -> Project | None:
        """What was trained and kept under this name, or None."""
        folder = self._kept / name
        return _project(folder) if ID.fullmatch(name) and folder.is_dir() else None

    @contextlib.contextmanager
    def _workshop(self) -> Iterator[Path]:
        self._kept.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".work-", dir=self._kept))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _lay_out(self, folder: Path, text: str) -> None:
        """Write the project's files and read them once, so that mistakes are told before anything is trained."""
        given = parse_yaml(text, "request").plain()
        if not isinstance(given, dict):
            raise InputError("the training data must be a map with the keys of domain.yml, config.yml, nlu and stories")
        parts: dict[str, dict[str, Any]] = {"config.yml": {}, "data/data.yml": {"version": "3.1"}, "domain.yml": {}}
        for key, value in given.items():
            name = "config.yml" if key in _CONFIG else "data/data.yml" if key in _DATA else "domain.yml"
            parts[name][key] = value
        parts["bot.yml"] = self._settings()
        (folder / "data").mkdir()
        for name, content in parts.items():
            (folder / name).write_text(as_yaml(content), "utf-8")
        for name in _OWN:
            _copy(self._root / name, folder / name)
        _project(folder)

    def _settings(self) -> dict[str, Any]:
        """The served project's bot.yml, but for where it keeps its things."""
        path = self._root / "bot.yml"
        found = parse_yaml(path.read_text("utf-8"), path.name).plain() if path.exists() else {}
        own = ("store", "server")
        kept = {key: value for key, value in found.items() if key not in own} if isinstance(found, dict) else {}
        return {**kept, "state": _STATE, "knowledge": []}


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    elif source.exists():
        shutil.copyfile(source, target)


def _project(folder: Path) -> Project:
    """The project, with its state inside the folder whatever the environment says."""
    project = load_project(folder)
    return replace(project, settings=project.settings.model_copy(update={"state": Path(_STATE)}))


async def _run(folder: Path) -> str:
    """Train in a child process; the id of the bundle, which is then the folder's current one."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _COMMAND, "train", str(folder), "--json",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, "BOT_STATE": _STATE},
    )  # fmt: skip
    try:
        out, err = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    told = _json(out)
    if "bundle" not in told:
        raise ProjectError(f"nothing could be trained: {_last(err) or _last(out) or 'no reason was given'}")
    bundle = str(told["bundle"])
    store = BundleStore(folder / _STATE / "models")
    if store.current() is None:
        await asyncio.to_thread(store.promote, bundle, "trained on request")
    if store.current() != bundle:
        raise SkillError("training", f"bundle {bundle} was made but is not in use")
    return bundle


def _json(out: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(out)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _last(text: bytes) -> str:
    lines = [line.strip() for line in text.decode("utf-8", "replace").splitlines() if line.strip()]
    return " ".join(lines[-6:])[:600]


def _pack(folder: Path, name: str) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz", compresslevel=1) as archive:
        archive.add(folder, arcname=name, filter=lambda item: None if PurePath(item.name).name in _SECRET else item)
    return content.getvalue()


def _keep(folder: Path, target: Path) -> None:
    if target.exists():
        return
    fresh = target.with_name(f".new-{target.name}")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(folder, fresh)
    fresh.rename(target)
