"""Custom actions in this process: the project's own `actions` package, run by rasa-sdk's executor.

This is the only module that imports rasa_sdk. The executor lives on an event loop in a thread of its own, so that an
action cannot hold up the bot. A plain `run` is given a thread, for it may block; an `async` one runs on that loop, as
in rasa-sdk's server. Python cannot stop either: when one does not come back, its caller has its outcome by the
deadline, and when it was blocking the loop, later actions get a new loop. Too many that hang are refused in time.

The package is imported with the project folder first on the path, once per process; a change needs a restart. It is
the author's own code and runs with all the rights of the bot.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import logging
import pkgutil
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import ModuleType
from typing import Any

from rasa_sdk import Action, utils
from rasa_sdk.executor import ActionExecutor, CollectingDispatcher
from rasa_sdk.interfaces import ActionExecutionRejection

from bot.actions import LOADED
from bot.core.errors import BotError, ProjectError, Rejected, SkillError
from bot.core.messages import Message
from bot.core.program import Program
from bot.core.protocols import ActionCall, ActionResult
from bot.sdk.answers import Reader
from bot.sdk.calls import Calls
from bot.sdk.chunks import Chunks

_log = logging.getLogger(__name__)
FINISH = 30.0
"""Seconds that an interrupted action gets, as in rasa-sdk."""
PLACES = 16
"""Plain actions at a time, and event loops that may hang."""


class InProcessActions:
    """An `ActionServer` for one package, and for one program; the code behind it is shared by all programs."""

    def __init__(self, code: Code, program: Program) -> None:
        self._code, self._program, self._calls = code, program, Calls(program)

    @property
    def names(self) -> tuple[str, ...]:
        """The actions of the package."""
        return tuple(self._code.executor.actions)

    async def run(self, call: ActionCall) -> ActionResult:
        """Run one action.

        Raises:
            Rejected: the action refused.
            SkillError: it failed, or returned what is no event; names the action and the line.
        """
        body = await self._calls.body(call)
        try:
            answer, said = await self._code.run(call, body)
            result = Reader(call.name, self._program).result(json.loads(answer))
        except SkillError as error:
            _log.error("%s", error)
            raise
        return ActionResult(messages=(*said, *result.messages), events=result.events)

    async def close(self) -> None:
        """The code stays loaded: another program may use it."""


class Code:
    """The loaded package and the loop that runs it."""

    def __init__(self, root: Path, module: str) -> None:
        """Import `module` and all its parts from the project folder `root`.

        Raises:
            ProjectError: it is not there, or importing it fails; says where.
        """
        self.root = root.resolve()
        self.executor = ActionExecutor()
        with _Importing(self.root, module):
            for action in _actions(self.root, module):
                self.executor.register_action(action)
        if not self.executor.actions:
            raise ProjectError(f"{module!r} has no actions: no class in it is a rasa_sdk.Action; add one")
        self._places = threading.Semaphore(PLACES)
        for name, function in list(self.executor.actions.items()):
            if not inspect.iscoroutinefunction(function):
                self.executor.actions[name] = self._threaded(name, function)
        self._loop = _Loop()
        self._stuck: list[_Loop] = []

    async def run(self, call: ActionCall, body: bytes) -> tuple[bytes, tuple[Message, ...]]:
        """Run one action; its answer as JSON, and the streamed responses that nobody has been told yet."""
        loop = self._working()
        sink = _Sink(asyncio.get_running_loop(), call)
        dispatcher = CollectingDispatcher()
        future = asyncio.run_coroutine_threadsafe(self._perform(call, body, sink, dispatcher), loop.loop)
        try:
            answer = await asyncio.shield(asyncio.wrap_future(future))
        except asyncio.CancelledError:
            # In the middle of a response an action may come to its end, as on rasa-sdk's server.
            seconds = FINISH if dispatcher.is_streaming_active else 0.0
            dispatcher.cancel_stream()
            loop.loop.call_soon_threadsafe(loop.loop.call_later, seconds, future.cancel)
            loop.check()
            raise
        return answer, tuple(sink.kept)

    async def _perform(self, call: ActionCall, body: bytes, sink: _Sink, dispatcher: CollectingDispatcher) -> bytes:
        with _Boundary(call.name, self.root):
            result = await self.executor.run(json.loads(body), sink=sink, dispatcher=dispatcher)
        try:
            return json.dumps(result.model_dump() if result else None, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise SkillError(
                call.name, "returned something that JSON cannot hold; expected texts, numbers, lists, maps"
            ) from error

    def _working(self) -> _Loop:
        """A loop that is not blocked."""
        if self._loop.blocked:
            self._stuck = [loop for loop in self._stuck if loop.blocked]
            if len(self._stuck) >= PLACES:
                raise SkillError("actions", f"{PLACES} actions hang; mend them and start the bot again")
            self._stuck.append(self._loop)
            self._loop = _Loop()
        return self._loop

    def _threaded(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function in a thread of its own; it may still return something to be awaited on the loop."""

        async def run(dispatcher: Any, tracker: Any, domain: Any) -> Any:
            if not self._places.acquire(blocking=False):
                raise SkillError(name, f"{PLACES} actions are running already; do some of them hang?")
            future: Future[Any] = Future()

            def work() -> None:
                with _Settled(future, self._places):
                    future.set_result(function(dispatcher, tracker, domain))

            future.set_running_or_notify_cancel()
            threading.Thread(target=work, name=f"action {name}", daemon=True).start()
            return await utils.call_potential_coroutine(await asyncio.wrap_future(future))

        return run


class _Loop:
    """An event loop in a daemon thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._beat: Future[None] | None = None
        threading.Thread(target=self.loop.run_forever, name="actions", daemon=True).start()

    @property
    def blocked(self) -> bool:
        """Whether the loop has not come round since the last check."""
        return self._beat is not None and not self._beat.done()

    def check(self) -> None:
        """Ask the loop for a sign of life."""
        if not self.blocked:
            beat: Future[None] = Future()
            self._beat = beat
            self.loop.call_soon_threadsafe(beat.set_result, None)


class _Sink:
    """Where the executor puts the pieces of streamed responses; each response becomes a message when it ends."""

    def __init__(self, loop: asyncio.AbstractEventLoop, call: ActionCall) -> None:
        self._loop, self._say = loop, call.say
        self._chunks = Chunks()
        self.kept: list[Message] = []

    async def put(self, event: dict[str, Any]) -> None:
        """Take a piece, as `asyncio.Queue.put` would; events about the end of the action are of no use here."""
        kind = event["event"]
        if kind == "stream_chunk":
            self._chunks.add({key: value for key, value in event.items() if key != "event"})
            return
        message, self._chunks = self._chunks.message(), Chunks()
        if message is None or kind == "stream_error":
            return
        if self._say is not None:
            self._loop.call_soon_threadsafe(self._say, message)
        else:
            self.kept.append(message)


class _Settled:
    """Gives what its block raises to the future, and the place back."""

    def __init__(self, future: Future[Any], places: threading.Semaphore) -> None:
        self._future, self._places = future, places

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: Any, error: BaseException | None, at: Any) -> bool:
        self._places.release()
        if error is not None:
            self._future.set_exception(error)
        return True


class _Boundary:
    """Where the author's code meets ours: what it raises becomes an error of ours that names the action."""

    def __init__(self, action: str, root: Path) -> None:
        self._action, self._root = action, root

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: Any, error: BaseException | None, at: Any) -> None:
        if isinstance(error, ActionExecutionRejection):
            raise Rejected(self._action) from error
        if isinstance(error, BotError) or not isinstance(error, Exception | SystemExit):
            return
        place = _line(error, self._root)
        raise SkillError(self._action, f"raised {type(error).__name__}{' at ' * bool(place)}{place}") from error


class _Importing:
    """What importing raises becomes a ProjectError with the line."""

    def __init__(self, root: Path, module: str) -> None:
        self._root, self._module = root, module

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: Any, error: BaseException | None, at: Any) -> None:
        if isinstance(error, ProjectError) or not isinstance(error, Exception | SystemExit):
            return
        raise self._explained(error) from error

    def _explained(self, error: BaseException) -> ProjectError:
        if isinstance(error, SyntaxError):
            place = _under(Path(error.filename or ""), self._root)
            return ProjectError(f"not valid Python: {error.msg}", f"{place}:{error.lineno or 1}")
        place = _line(error, self._root)
        if isinstance(error, ModuleNotFoundError):
            if error.name == self._module.partition(".")[0]:
                expected = f"{self._module.replace('.', '/')}.py, or a folder of that name with the actions"
                return ProjectError(f"there is no module {self._module!r} in the project; expected {expected}")
            what = f"importing {self._module!r} needs {error.name!r}, which is not installed; install it with pip"
            return ProjectError(what, place)
        text = " ".join(str(error).split())[:200]
        return ProjectError(f"importing {self._module!r} raised {type(error).__name__}: {text}", place)


def _actions(root: Path, module: str) -> list[type[Action]]:
    """Import the module and all its parts; the actions in memory that belong to what is loaded now."""
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    _forget_others(root, module)
    importlib.invalidate_caches()
    _import_all(importlib.import_module(module))
    return [kind for kind in utils.all_subclasses(Action) if not inspect.isabstract(kind) and _is_current(kind)]


def _forget_others(root: Path, module: str) -> None:
    """Another project of this process may have had a package of the same name."""
    top = module.partition(".")[0]
    loaded = sys.modules.get(top)
    if loaded is not None and not _place(loaded).is_relative_to(root):
        for name in [name for name in sys.modules if name == top or name.startswith(top + ".")]:
            del sys.modules[name]
        sys.path.remove(str(root))
        sys.path.insert(0, str(root))


def _place(module: ModuleType) -> Path:
    places = [module.__file__] if module.__file__ else list(getattr(module, "__path__", ()))
    return Path(places[0]).resolve() if places else Path()


def _import_all(package: ModuleType) -> None:
    for found in pkgutil.iter_modules(getattr(package, "__path__", ()), prefix=package.__name__ + "."):
        _import_all(importlib.import_module(found.name))


def _is_current(kind: type[Action]) -> bool:
    """Whether the class is the project's, not rasa-sdk's own, and not left over from a module loaded before."""
    module = sys.modules.get(kind.__module__)
    if module is None or kind.__module__.startswith(("rasa_sdk.", LOADED)):
        return False
    if "<locals>" in kind.__qualname__:
        return kind in vars(module).values()
    found: object = module
    for name in kind.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is kind


def _under(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else path.name


def _line(error: BaseException, root: Path) -> str:
    """The last line of the author's own files that the error went through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame for frame in frames if Path(frame.filename).is_relative_to(root) and "site-packages" not in frame.filename
    ]
    return f"{_under(Path(own[-1].filename), root)}:{own[-1].lineno}" if own else ""
