"""Collecting what is wrong with a project, so that its author sees everything at once.

Readers report to a `Problems` and go on with a sensible default; `finish` raises one error that lists all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.core.errors import ProjectError

UNDEFINED = "undefined"
"""Kind of warnings about names that do not exist."""
MOST_SHOWN = 20
"""How many errors one message lists."""


@dataclass(frozen=True, slots=True)
class ProjectWarning:
    """Something that works, but probably not as its author wants. `where` is `file:line`, or empty; `kind` sorts."""

    message: str
    where: str = ""
    kind: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class ProjectErrors(ProjectError):
    """All errors of a project in the order of files and lines; `errors` holds them, `where` is the first one's."""

    def __init__(self, errors: Sequence[ProjectError]) -> None:
        shown = [f"  {error}" for error in errors[:MOST_SHOWN]]
        if len(errors) > MOST_SHOWN:
            shown.append(f"  and {len(errors) - MOST_SHOWN} more")
        count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        super().__init__("\n".join([f"the project has {count}:", *shown]))
        self.errors, self.where = tuple(errors), errors[0].where if errors else ""


class Problems:
    """The errors and warnings found so far."""

    def __init__(self) -> None:
        self.errors: list[ProjectError] = []
        self.warnings: list[ProjectWarning] = []
        self._seen: set[ProjectWarning] = set()

    def error(self, message: str, where: str = "") -> None:
        """Note an error."""
        self.errors.append(ProjectError(message, where))

    def warn(self, message: str, where: str = "", kind: str = "") -> None:
        """Note a warning, once."""
        warning = ProjectWarning(message, where, kind)
        if warning not in self._seen:
            self._seen.add(warning)
            self.warnings.append(warning)

    def finish(self) -> tuple[ProjectWarning, ...]:
        """The warnings.

        Raises:
            ProjectErrors: there is at least one error.
        """
        if self.errors:
            raise ProjectErrors(sorted(self.errors, key=lambda error: _place(error.where)))
        return tuple(sorted(self.warnings, key=lambda warning: _place(warning.where)))


def _place(where: str) -> tuple[str, int]:
    file, _, line = where.rpartition(":")
    return (file, int(line)) if line.isdecimal() else (where, 0)
