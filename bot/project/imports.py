"""The files that `config.yml` imports: Rasa's MultiProjectImporter joins several projects to one bot.

    importers:
    - name: MultiProjectImporter
    imports:
    - projects/greeting        # a folder: its domain and training data, and what its own config.yml imports
    - projects/smalltalk/domain.yml

Pipeline, policies, endpoints and credentials are those of the project itself. Test stories of imported projects are not
read. Folders outside the project are left out, so that a project reads nothing but itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bot.core.errors import ProjectError
from bot.hints import listed
from bot.project.fields import Fields
from bot.project.problems import Problems
from bot.yaml import Node, read_yaml

_DEFAULT, _MULTI = "RasaFileImporter", "MultiProjectImporter"
_OTHERS = ("bot", "config", "credentials", "endpoints")
"""Files of a project that hold neither domain nor training data."""


def imported_paths(root: Path, fields: Fields) -> tuple[Path, ...]:
    """The files and folders that the project's `config.yml` imports, and those that they import in turn."""
    given = fields.get("importers")
    items = given.items if given is not None and isinstance(given.value, list) else [given] if given else []
    named = {_name(item): item for item in items}
    foreign = {name: item.where for name, item in named.items() if name not in (_DEFAULT, _MULTI)}
    if foreign:
        message = f"no counterpart for importer {listed(foreign)}; only domain and data/ of the project are read"
        fields.problems.warn(message, next(iter(foreign.values())))
    wanted = _paths(fields.get("imports"))
    if wanted and _MULTI not in named:
        message = f"`imports` counts only with `importers: [{{name: {_MULTI}}}]`; it is left out"
        fields.problems.warn(message, fields.where("imports"))
    return tuple(_Imports(root, fields.problems).follow(root, wanted)) if _MULTI in named else ()


def imported_files(paths: tuple[Path, ...]) -> Iterator[Path]:
    """The YAML files of imported paths that may hold domain or training data."""
    for path in paths:
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in found:
            hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
            other = file.stem in _OTHERS or file.name.startswith("test_")
            if file.suffix in (".yml", ".yaml") and file.is_file() and not hidden and not other:
                yield file


def _name(node: Node) -> str:
    name = node.map["name"].value if "name" in node.map else node.value
    text = name if isinstance(name, str) else ""
    return text.rsplit(".", 1)[-1] if text.startswith("rasa.") else text


def _paths(node: Node | None) -> list[Node]:
    if node is None:
        return []
    return node.items if isinstance(node.value, list) else [node]


class _Imports:
    """Follows imports; a folder is visited once."""

    def __init__(self, root: Path, problems: Problems) -> None:
        self.root, self.problems = root.resolve(), problems
        self.seen = {self.root}

    def follow(self, base: Path, wanted: list[Node]) -> Iterator[Path]:
        for node in wanted:
            path = (base / str(node.value)).resolve()
            if path in self.seen:
                continue
            self.seen.add(path)
            if not path.is_relative_to(self.root):
                message = (
                    f"import {str(node.value)!r} lies outside the project and is left out; copy it into the folder"
                )
                self.problems.warn(message, node.where)
            elif not path.exists():
                self.problems.error(f"there is no file or folder {str(node.value)!r} to import", node.where)
            else:
                yield path
                yield from self.follow(path, self.inner(path))

    def inner(self, path: Path) -> list[Node]:
        """What the imported project imports itself."""
        file = path / "config.yml"
        if not file.is_file():
            return []
        try:
            return _paths(read_yaml(file, file.relative_to(self.root).as_posix()).map.get("imports"))
        except ProjectError as error:
            self.problems.errors.append(error)
            return []
