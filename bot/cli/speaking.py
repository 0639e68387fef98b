"""What `bot train` and `bot learn` hand to the trainer where a generator is to word answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bot.core.errors import BotError

if TYPE_CHECKING:
    from bot.config import Settings
    from bot.project import Project
    from skills.encoder import Encoder
    from training.sides import SplitOptions
    from training.speaking import Speaking

WORK = "generator-run"
"""The folder of a fit's checkpoints, in the state folder."""


def speaker(project: Project | None, encoder: Encoder, split: SplitOptions) -> Speaking | None:
    """The base model that the project names with what its log teaches it; None where no model of ours is to speak."""
    if project is None:
        return None
    settings, root = project.settings, project.root
    chosen = settings.generator
    if not chosen.enabled or not chosen.model or chosen.base_url:
        return None
    from bot.app import load_index
    from training.consent import cleared
    from training.gather import read_log
    from training.speaking import Speaking, taught_by
    from training.wording import Replies, replies

    index, log = load_index(project, encoder), settings.log_file(root)
    found = Replies()
    if index is not None and log.exists():
        taught = taught_by(_in_use(settings, root))
        found = replies(cleared(read_log(log), settings), index, split, taught, encoder.vectors)
    base = base_folder(chosen.model, chosen.revision, root)
    return Speaking(base, found, settings.state_folder(root) / WORK, tone=chosen.tone.style)


def base_folder(model: str, revision: str | None, root: Path) -> Path:
    """The folder of a base model: `starter`, a folder (seen from the project, or from here), or one of the hub.

    Raises:
        NotFound: there is none.
        InputError: a repository without a commit.
    """
    from skills.decoder_files import find_folder
    from skills.generator_files import STARTER

    if model == "starter" and not Path(model).is_dir():
        return find_folder(str(STARTER))
    near = root / Path(model).expanduser()
    return near if near.is_dir() else find_folder(model, revision)


def _in_use(settings: Settings, root: Path) -> Path | None:
    """The folder of the bundle in use; None if there is none, or it is damaged."""
    from bot.app import model_store

    try:
        current = model_store(settings, root).open_current()
    except BotError:
        return None
    return None if current is None else current.path
