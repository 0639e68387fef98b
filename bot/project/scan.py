"""Which actions a project's `actions.py` offers, found without running it."""

from __future__ import annotations

import ast
import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bot.core.errors import ProjectError
from bot.project.problems import Problems
from bot.yaml import read_text

_NAME = "actions.py"
_MOST_FILES = 200


@dataclass(frozen=True, slots=True)
class ActionScan:
    """Names of `@action("name")` functions with their places; `text` is all code of actions there is."""

    places: dict[str, str] = field(default_factory=dict)
    text: str = ""


def scan_actions(root: Path, problems: Problems) -> ActionScan:
    """Look through `actions.py`, or the package `actions`, of a project; nothing is found when there is neither."""
    if not (root / _NAME).is_file():
        return ActionScan(text=_package(root))
    try:
        text = read_text(root / _NAME, _NAME)
        tree = _parsed(text)
    except ProjectError as error:
        problems.errors.append(error)
        return ActionScan()
    places: dict[str, str] = {}
    for name, line in _decorated(tree):
        where = f"{_NAME}:{line}"
        if name in places:
            problems.error(f"action {name!r} is defined in {places[name]} already", where)
        places.setdefault(name, where)
    return ActionScan(places, text)


def _package(root: Path) -> str:
    """The text of all modules below `actions/`; one that cannot be read counts as empty."""
    texts: list[str] = []
    for path in sorted((root / "actions").rglob("*.py"))[:_MOST_FILES]:
        with contextlib.suppress(ProjectError):
            texts.append(read_text(path, path.name))
    return "\n".join(texts)


def _parsed(text: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        raise ProjectError(f"not valid Python: {error.msg}", f"{_NAME}:{error.lineno or 1}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ProjectError(f"not valid Python: {error}", f"{_NAME}:1") from None


def _decorated(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for decorator in node.decorator_list:
            match decorator:
                case ast.Call(
                    func=ast.Name(id="action") | ast.Attribute(attr="action"), args=[ast.Constant(value=str(name))]
                ):
                    yield name, node.lineno
