"""Which servers run a project's custom actions, settled in one place.

1. `--actions MODULE`: that module of the project, in this process, and nothing else.
2. Functions with `@action` in the project's `actions.py` (`bot.actions`).
3. For actions that these do not have: the `action_endpoint` of endpoints.yml, over gRPC or HTTP.
4. Without one: the project's own `actions`, in this process, when they import rasa_sdk and the domain has actions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import structlog

from bot.actions import ActionLimits, LocalActions
from bot.core.errors import NotFound, ProjectError
from bot.core.program import Program, Variation
from bot.core.protocols import ActionCall, ActionResult, ActionServer
from bot.project import Project
from bot.project.endpoints import Endpoint
from bot.yaml import read_text

if TYPE_CHECKING:
    from bot.sdk.inprocess import Code
    from bot.sdk.nlg import NlgServer

_log = structlog.get_logger("understudy.actions")
PACKAGE = "actions"
_USES_SDK = re.compile(r"^\s*(from|import)\s+rasa_sdk\b", re.MULTILINE)
_USES_OURS = re.compile(r"^\s*(from\s+bot(\.\w+)*|import\s+bot\b)", re.MULTILINE)
_MOST_FILES = 500


class Remote(ActionServer, Protocol):
    """An action server that holds connections."""

    async def close(self) -> None:
        """End them."""
        ...


class Servers:
    """Several action servers as one; an action is run by the first that knows it."""

    def __init__(self, servers: tuple[ActionServer, ...], remote: tuple[Remote, ...] = ()) -> None:
        self.servers, self._remote = (*servers, *remote), remote

    @property
    def names(self) -> tuple[str, ...]:
        """The actions of all."""
        return tuple(dict.fromkeys(name for server in self.servers for name in server.names))

    async def run(self, call: ActionCall) -> ActionResult:
        """See `ActionServer.run`."""
        for server in self.servers:
            if call.name in server.names:
                return await server.run(call)
        raise NotFound(f"there is no custom action {call.name!r}")

    async def close(self) -> None:
        """End all connections."""
        for server in self._remote:
            await server.close()


class ActionSource:
    """Makes the action servers of a project, anew for each program; code that was imported stays as it is.

    `module` is what `--actions` chose.
    """

    def __init__(self, module: str | None = None) -> None:
        self.module = module
        self._code: dict[str, Code] = {}

    def open(self, project: Project) -> Servers | None:
        """The project's action servers; None when it has none.

        Raises:
            ProjectError: the code cannot be imported, or an endpoint's settings are wrong.
        """
        if self.module is not None:
            return Servers((self._in_process(project, self.module),))
        settings, program = project.settings.actions, project.program
        local, sdk = _own(project.root)
        servers = (LocalActions(local, ActionLimits(settings.deadline_s)),) if local else ()
        endpoint = _placed(project.endpoints.action, project.root)
        if endpoint is not None and endpoint.grpc:
            from bot.sdk.grpc import GrpcActions

            return Servers(servers, (GrpcActions(endpoint, program),))
        if endpoint is not None:
            from bot.sdk.http import HttpActions

            return Servers(servers, (HttpActions(endpoint, program, settings.compress),))
        found = self._found(project) if sdk and program.actions else ()
        return Servers((*servers, *found)) if servers or found else None

    def _found(self, project: Project) -> tuple[ActionServer, ...]:
        """The project's `actions`, if they can be imported: nobody has asked for them, so the bot runs without too."""
        try:
            return (self._in_process(project, PACKAGE),)
        except ProjectError as error:
            _log.warning("the project's own actions are not used, they will fail when needed", reason=str(error))
            return ()

    def _in_process(self, project: Project, module: str) -> ActionServer:
        from bot.sdk.inprocess import Code, InProcessActions

        if module not in self._code:
            self._code[module] = Code(project.root, module)
        return InProcessActions(self._code[module], project.program)


def _placed(endpoint: Endpoint | None, root: Path) -> Endpoint | None:
    """The endpoint with its `cafile` taken from the project folder."""
    if endpoint is None or endpoint.cafile is None:
        return endpoint
    return replace(endpoint, cafile=str(root / endpoint.cafile))


def _own(root: Path) -> tuple[Path | None, bool]:
    """The project's `actions.py` if it is written for us, and whether its actions are written for rasa-sdk."""
    path = root / f"{PACKAGE}.py"
    if not path.is_file():
        return None, any(_USES_SDK.search(text) for text in _texts(root / PACKAGE))
    text = read_text(path, path.name)
    sdk = _USES_SDK.search(text) is not None
    return (None if sdk and not _USES_OURS.search(text) else path), sdk


def _texts(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*.py"))[:_MOST_FILES]:
        if path.is_file():
            yield path.read_text("utf-8", errors="replace")


def spoken_for(program: Program) -> Program:
    """The program when a server words responses: actions `utter_...` without a wording are responses all the same."""
    bare = tuple(name for name in program.actions if name.startswith("utter_") and name not in program.responses)
    responses = {**program.responses, **dict.fromkeys(bare, (Variation(),))}
    actions = tuple(name for name in program.actions if name not in bare)
    return program.model_copy(update={"responses": responses, "actions": actions}) if bare else program


class Others:
    """The other servers that a project's conversations need: for actions, and for words."""

    def __init__(self, project: Project, source: ActionSource | None) -> None:
        """Without `source` there are none: nothing is going to be said."""
        self.program = project.program
        self.actions: Servers | None = None
        self.words: NlgServer | None = None
        if source is None:
            return
        self.actions = source.open(project)
        if self.actions is not None:
            _log.info("custom actions", run_by=[type(server).__name__ for server in self.actions.servers])
        endpoint = _placed(project.endpoints.nlg, project.root)
        if endpoint is not None:
            from bot.sdk.nlg import NlgServer

            self.words, self.program = NlgServer(endpoint, project.program), spoken_for(project.program)

    async def close(self) -> None:
        """End all connections."""
        for server in (self.actions, self.words):
            if server is not None:
                await server.close()
