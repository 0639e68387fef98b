"""Custom actions in this process: importing them, running them off the event loop, what goes wrong."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path
from textwrap import dedent

import pytest

from bot.core.errors import ProjectError, Rejected, SkillError
from bot.core.messages import Message
from bot.core.protocols import ActionResult
from bot.sdk import inprocess
from bot.sdk.inprocess import Code, InProcessActions
from tests.sdk.serving import PROGRAM, call

HEAD = """
import asyncio, threading, time
from rasa_sdk import Action
from rasa_sdk.events import SlotSet
from rasa_sdk.interfaces import ActionExecutionRejection
GATE = threading.Event()

class Base(Action):
    def name(self):
        return "action_x"
"""


def made(root: Path, body: str, module: str = "actions") -> InProcessActions:
    """The test's action: a class `X` with this body."""
    (root / f"{module}.py").write_text(HEAD + "class X(Base):\n" + dedent(body).replace("\n", "\n    ").rstrip(" "))
    return InProcessActions(Code(root, module), PROGRAM)


PLAIN = "\ndef run(self, dispatcher, tracker, domain):\n    "
ASYNC = "\nasync def run(self, dispatcher, tracker, domain):\n    "


@pytest.mark.parametrize("run", [PLAIN, ASYNC])
async def test_plain_and_async_actions_run_off_the_loop(tmp_path: Path, run: str) -> None:
    server = made(tmp_path, f"{run}dispatcher.utter_message(text=threading.current_thread().name)\n    return []")
    result = await server.run(call())
    said = result.messages[0]
    assert isinstance(said, Message) and said.text in ("action action_x", "actions")
    assert said.text != threading.current_thread().name and server.names == ("action_x",)


async def test_an_action_may_return_nothing(tmp_path: Path) -> None:
    assert await made(tmp_path, f"{PLAIN}return None").run(call()) == ActionResult()


async def test_an_action_that_raises_is_named_with_its_line_but_not_with_its_words(tmp_path: Path) -> None:
    server = made(tmp_path, f"{PLAIN}raise KeyError('s3cret')")
    with pytest.raises(SkillError, match=r"^skill 'action_x': raised KeyError at actions\.py:\d+$"):
        await server.run(call())


@pytest.mark.parametrize("run", [PLAIN, ASYNC])
async def test_an_action_may_refuse(tmp_path: Path, run: str) -> None:
    with pytest.raises(Rejected):
        await made(tmp_path, f"{run}raise ActionExecutionRejection('action_x')").run(call())


async def test_what_json_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SkillError, match="JSON cannot hold"):
        await made(tmp_path, f"{PLAIN}return [SlotSet('size', object())]").run(call())


async def test_an_action_that_leaves_the_process_only_fails(tmp_path: Path) -> None:
    with pytest.raises(SkillError, match="raised SystemExit"):
        await made(tmp_path, f"{PLAIN}raise SystemExit(3)").run(call())


async def test_a_hanging_plain_action_does_not_hold_up_others(tmp_path: Path) -> None:
    server = made(tmp_path, f"{PLAIN}GATE.wait(10) if tracker.sender_id == 'c' else None\n    return []")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await server.run(call())
    other = call()
    assert await server.run(type(other)("action_x", "k", "d", "ann", {}, "", 0.0)) == ActionResult()
    sys.modules["actions"].GATE.set()


async def test_an_async_action_that_blocks_its_loop_does_not_hold_up_later_ones(tmp_path: Path) -> None:
    server = made(tmp_path, f"{ASYNC}GATE.wait(10) if not GATE.is_set() else None\n    return []")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await server.run(call())
    blocked = threading.active_count()
    later = asyncio.create_task(server.run(call()))
    await asyncio.sleep(0.05)
    assert threading.active_count() > blocked  # another loop
    sys.modules["actions"].GATE.set()
    assert await later == ActionResult()


async def test_too_many_hanging_actions_are_refused_in_time(tmp_path: Path) -> None:
    server = made(tmp_path, f"{PLAIN}GATE.wait(10)\n    return []")
    waiting = [asyncio.create_task(server.run(call())) for _ in range(inprocess.PLACES)]
    while sum(thread.name == "action action_x" for thread in threading.enumerate()) < inprocess.PLACES:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    with pytest.raises(SkillError, match="running already"):
        await server.run(call())
    sys.modules["actions"].GATE.set()
    assert await asyncio.gather(*waiting) == [ActionResult()] * inprocess.PLACES


async def test_an_interrupted_stream_is_told_so(tmp_path: Path) -> None:
    body = """
    async def run(self, dispatcher, tracker, domain):
        await dispatcher.stream_chunk(text="One")
        while not dispatcher.is_streaming_cancelled:
            await asyncio.sleep(0.01)
        return []
    """
    server = made(tmp_path, dedent(body))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await server.run(call())


async def test_a_package_with_parts_is_imported_whole(tmp_path: Path) -> None:
    (tmp_path / "actions" / "deep").mkdir(parents=True)
    (tmp_path / "actions" / "__init__.py").write_text("")
    for name, place in (("action_a", "one"), ("action_b", "deep/two")):
        text = HEAD.replace("class Base", "class It").replace("action_x", name)
        (tmp_path / "actions" / f"{place}.py").write_text(text)
    (tmp_path / "actions" / "deep" / "__init__.py").write_text("")
    assert sorted(InProcessActions(Code(tmp_path, "actions"), PROGRAM).names) == ["action_a", "action_b"]


async def test_classes_made_by_a_function_count_when_the_module_keeps_them(tmp_path: Path) -> None:
    made_by = (
        "def make(title):\n    class It(Base):\n        def name(self):\n            return title\n    return It\n"
    )
    (tmp_path / "actions.py").write_text(HEAD + made_by + "One = make('one')\nmake('lost')\n")
    assert set(Code(tmp_path, "actions").executor.actions) == {"action_x", "one"}


async def test_two_projects_with_actions_of_the_same_name_do_not_mix(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made(tmp_path / name, f"{PLAIN}return []\nclass Extra(Base):\n    def name(self):\n        return '{name}'")
    assert set(Code(tmp_path / "one", "actions").executor.actions) == {"action_x", "one"}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def f(:\n", r"actions\.py:1: not valid Python"),
        ("\nimport no_such_package\n", r"actions\.py:2: importing 'actions' needs 'no_such_package', which is not"),
        ("1 / 0\n", r"actions\.py:1: importing 'actions' raised ZeroDivisionError"),
        ("import sys\nsys.exit(1)\n", r"actions\.py:2: importing 'actions' raised SystemExit"),
        ("x = 1\n", "'actions' has no actions: no class in it is a rasa_sdk.Action"),
    ],
)
def test_a_package_that_cannot_be_used_is_explained(tmp_path: Path, source: str, said: str) -> None:
    (tmp_path / "actions.py").write_text(source)
    with pytest.raises(ProjectError, match=said):
        Code(tmp_path, "actions")


def test_a_module_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"no module 'mine' in the project; expected mine\.py, or a folder"):
        Code(tmp_path, "mine")
