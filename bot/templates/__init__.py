"""New projects: copies of a template folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from bot.core.errors import InputError

_HERE = Path(__file__).parent
_EXAMPLES = _HERE.parent.parent / "examples"
_LEFT_OUT = shutil.ignore_patterns(".bot", "__pycache__", "*.pyc", "make_logs.py", "audio")


def create(directory: Path, template: str) -> tuple[Path, ...]:
    """Copy a template into a new or empty folder; gives the files written.

    Raises:
        InputError: there is no such template, or the folder holds something already.
    """
    source = next((base / template for base in (_HERE, _EXAMPLES) if (base / template / "bot.yml").exists()), None)
    if source is None:
        raise InputError(f"there is no template {template!r}; choose shop or empty")
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise InputError(f"{directory} exists and is not an empty folder; choose a new name")
    shutil.copytree(source, directory, dirs_exist_ok=True, ignore=_LEFT_OUT)
    return tuple(path for path in sorted(directory.rglob("*")) if path.is_file())
