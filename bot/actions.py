"""Custom actions: plain functions in a project's `actions.py`.

    from bot.actions import ActionCall, ActionResult, action

    @action("action_find_order")
    def find_order(call: ActionCall) -> ActionResult:
        return ActionResult(slots={"order_found": True}, messages=("utter_found",))

A plain function runs in a thread, so it may block; an `async` one runs on the event loop and must not. Both have the
deadline. Python cannot stop a thread: a function that hangs keeps its place until it ends, and when all places are
taken further calls fail in time instead of piling up. Whatever an action raises or returns wrongly becomes a
`SkillError` that carries its name. `actions.py` is the author's own code and runs with all the rights of the bot.
"""

from __future__ import annotations

import asyncio
import contextvars
import importlib.util
import inspect
import itertools
import json
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, TypeVar

from pydantic import JsonValue

from bot.core.errors import BotError, DeadlineExceeded, NotFound, ProjectError, SkillError
from bot.core.messages import Message, Value
from bot.core.program import Program
from bot.core.protocols import ActionCall, ActionResult, Worded
from bot.hints import nearest

__all__ = ["ActionCall", "ActionLimits", "ActionResult", "LocalActions", "Worded", "action"]

Function = TypeVar("Function", bound=Callable[..., Any])
FILE = "actions.py"
LOADED = "understudy_actions_"
"""How the names of loaded files begin, as modules."""
_MARK = "__understudy_action__"
_loads = itertools.count(1)


def action(name: str) -> Callable[[Function], Function]:
    """Make a function of one argument, the `ActionCall`, the action called `name`; it stays a plain function.

    Raises:
        ProjectError: `name` is no name for an action.
    """
    if not isinstance(name, str) or not name.strip() or name.startswith("utter_") or any(map(str.isspace, name)):
        raise ProjectError(f'@action needs a name in quotes, as in @action("action_find_order"), found {name!r}')

    def mark(function: Function) -> Function:
        setattr(function, _MARK, name)
        return function

    return mark


@dataclass(frozen=True, slots=True)
class ActionLimits:
    """`deadline`: seconds an action may take, waiting for a place included. `places`: plain functions at a time."""

    deadline: float = 10.0
    places: int = 16


class LocalActions:
    """An `ActionServer` for the functions of one file."""

    def __init__(self, path: Path, limits: ActionLimits | None = None, program: Program | None = None) -> None:
        """Load `path`, an `actions.py` or the folder that holds one. With `program`, results are checked against it.

        Raises:
            ProjectError: the file is not there, cannot be loaded, or its actions are not well formed.
        """
        self.path = _found(path)
        self._limits = limits or ActionLimits()
        self._program = program
        self._functions = _functions(_load(self.path))
        self._places = asyncio.Semaphore(self._limits.places)

    @property
    def names(self) -> tuple[str, ...]:
        """The actions of the file, in their order."""
        return tuple(self._functions)

    async def run(self, call: ActionCall) -> ActionResult:
        """Run one action.

        Raises:
            NotFound: there is no such action.
            DeadlineExceeded: it gave no result in time.
            SkillError: it failed or returned something else than an `ActionResult`; names the action and the line.
        """
        function = self._functions.get(call.name)
        if function is None:
            hint = nearest(call.name, self._functions)
            raise NotFound(f"{self.path.name} has no action {call.name!r}{hint or '; add a function with @action'}")
        seconds = self._limits.deadline
        try:
            async with asyncio.timeout(seconds) as timer:
                with _Boundary(call.name, self.path):
                    result = await self._started(function, call)
        except TimeoutError:
            if not timer.expired():
                raise
            raise DeadlineExceeded(call.name, f"gave no result within {seconds:g} s") from None
        return _Check(call.name, self._program).result(result)

    async def _started(self, function: Callable[[ActionCall], Any], call: ActionCall) -> object:
        if inspect.iscoroutinefunction(function):
            return await function(call)
        await self._places.acquire()
        loop = asyncio.get_running_loop()
        running = _in_thread(function, call)
        running.add_done_callback(
            lambda _: None if loop.is_closed() else loop.call_soon_threadsafe(self._places.release)
        )
        return await asyncio.wrap_future(running)


def _found(path: Path) -> Path:
    """The file itself, which must not be a link to somewhere outside its folder."""
    path = path / FILE if path.is_dir() else path
    if not path.is_file() or path.suffix != ".py":
        raise ProjectError(
            f"there is no {path.name!r} in {str(path.parent)!r}; expected a Python file with the actions"
        )
    if not path.resolve().is_relative_to(path.parent.resolve()):
        raise ProjectError(
            f"{path.name!r} is a link to a file outside its folder; put the file itself there", path.name
        )
    return path.resolve()


class _Uncached(SourceFileLoader):
    """Loads the source as it is now: no byte code is read or left behind."""

    def path_stats(self, path: Any) -> Mapping[str, Any]:
        raise OSError(f"{path} is not cached")


def _load(path: Path) -> ModuleType:
    """Run the file as a module of its own, under a name that nothing else has."""
    name = f"{LOADED}{next(_loads)}"
    spec = importlib.util.spec_from_file_location(name, path, loader=_Uncached(name, str(path)))
    if spec is None or spec.loader is None:
        raise ProjectError("the file cannot be loaded as Python", path.name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up while it is being loaded
    with _Loading(path):
        spec.loader.exec_module(module)
    return module


def _functions(module: ModuleType) -> dict[str, Callable[[ActionCall], Any]]:
    found: dict[str, Callable[[ActionCall], Any]] = {}
    for value in vars(module).values():
        name = getattr(value, _MARK, None) if inspect.isfunction(value) else None
        if name is None or found.get(name) is value:
            continue
        where = f"{FILE}:{value.__code__.co_firstlineno}"
        if name in found:
            raise ProjectError(f"action {name!r} is defined twice; rename one", where)
        try:
            inspect.signature(value).bind(None)
        except TypeError:
            expected = f"def {value.__name__}(call: ActionCall) -> ActionResult"
            raise ProjectError(f"action {name!r} must take one argument: {expected}", where) from None
        found[name] = value
    return found


def _in_thread(function: Callable[[ActionCall], Any], call: ActionCall) -> Future[Any]:
    """Run in a daemon thread of its own, so that a hanging action cannot keep the process from ending."""
    future: Future[Any] = Future()
    context = contextvars.copy_context()

    def work() -> None:
        with _Settled(future):
            future.set_result(context.run(function, call))

    future.set_running_or_notify_cancel()
    threading.Thread(target=work, name=f"action {call.name}", daemon=True).start()
    return future


class _Settled:
    """Gives what its block raises to the future."""

    def __init__(self, future: Future[Any]) -> None:
        self.future = future

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        if error is not None:
            self.future.set_exception(error)
        return True


class _Boundary:
    """Where the author's code meets ours: what it raises becomes a SkillError that names the action."""

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.path = name, path

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if isinstance(error, BotError) or not isinstance(error, Exception | SystemExit):
            return
        raise SkillError(self.name, f"raised {_shown(error)} at {_line(error, self.path)}") from error


class _Loading:
    """What loading an actions.py raises becomes a ProjectError with the line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if isinstance(error, SyntaxError) and error.filename == str(self.path):
            raise ProjectError(f"not valid Python: {error.msg}", f"{self.path.name}:{error.lineno or 1}") from error
        if isinstance(error, Exception | SystemExit):
            message = str(error) if isinstance(error, ProjectError) else f"loading it raised {_shown(error)}"
            raise ProjectError(message, _line(error, self.path)) from error


def _shown(error: BaseException) -> str:
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _line(error: BaseException, path: Path) -> str:
    """The last line of the author's file that the error went through."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{path.name}:{lines[-1]}" if lines and lines[-1] else path.name


@dataclass(frozen=True, slots=True)
class _Check:
    """Checks what an action returned."""

    name: str
    program: Program | None

    def wrong(self, expected: str, found: object) -> SkillError:
        return SkillError(self.name, f"expected {expected}, found {repr(found)[:80]}")

    def result(self, result: object) -> ActionResult:
        """The result, its slots as plain JSON. None counts as an empty result."""
        if result is None:
            return ActionResult()
        if not isinstance(result, ActionResult):
            raise self.wrong("an ActionResult(slots={...}, messages=(...)) as the return value", result)
        if not isinstance(result.slots, Mapping):
            raise self.wrong("`slots` to be a map of names to values", result.slots)
        if not isinstance(result.messages, tuple | list):
            raise self.wrong('`messages` to be a tuple such as ("utter_done",)', result.messages)
        if not isinstance(result.events, tuple | list) or not all(isinstance(item, Value) for item in result.events):
            raise self.wrong("`events` to be a tuple of facts such as (FollowUp(action=...),)", result.events)
        slots = {self.slot(name): self.value(name, value) for name, value in result.slots.items()}
        messages = tuple(self.message(message) for message in result.messages)
        return ActionResult(slots=slots, messages=messages, events=tuple(result.events))

    def slot(self, name: object) -> str:
        if not isinstance(name, str):
            raise self.wrong("the name of a slot", name)
        if self.program is not None and name not in self.program.slots:
            raise SkillError(self.name, f"there is no slot {name!r}{nearest(name, self.program.slots)}")
        return name

    def value(self, name: object, value: object) -> JsonValue:
        try:
            plain: JsonValue = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError, RecursionError):
            expected = "a text, a number, true or false, None, or lists and maps of these"
            raise self.wrong(f"the value of slot {name!r} to be {expected}", value) from None
        return plain

    def message(self, message: object) -> Message | Worded | str:
        if not isinstance(message, Message | Worded | str):
            raise self.wrong("a message to be the name of a response, a Worded or a Message", message)
        name = message.name if isinstance(message, Worded) else message
        if isinstance(name, str) and self.program is not None and name not in self.program.responses:
            raise SkillError(self.name, f"there is no response {name!r}{nearest(name, self.program.responses)}")
        return message
