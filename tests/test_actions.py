"""Custom actions: loading, running with a deadline, checking results."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from textwrap import dedent

import pytest

from bot.actions import ActionCall, ActionLimits, ActionResult, LocalActions, action
from bot.core.errors import DeadlineExceeded, NotFound, ProjectError, SkillError
from bot.core.events import FollowUp
from bot.core.program import Program, Slot
from bot.core.protocols import ActionServer, Worded

HEAD = "from bot.actions import ActionCall, ActionResult, action\n"


def made(root: Path, source: str, limits: ActionLimits | None = None, program: Program | None = None) -> LocalActions:
    (root / "actions.py").write_text(HEAD + dedent(source))
    return LocalActions(root, limits, program)


def call(name: str = "action_a", **slots: object) -> ActionCall:
    return ActionCall(name, "key", "conversation", "sender", slots, "text", 0.0)  # type: ignore[arg-type]


def returning(root: Path, value: str, program: Program | None = None) -> LocalActions:
    return made(root, f"@action('action_a')\ndef a(call):\n    return {value}\n", program=program)


async def test_plain_and_async_functions_are_actions(tmp_path: Path) -> None:
    server: ActionServer = made(
        tmp_path,
        """
        @action("action_a")
        def first(call: ActionCall) -> ActionResult:
            return ActionResult(slots={"n": call.slots["n"] + 1}, messages=("utter_x",))
        @action("action_b")
        async def second(call):
            return None
        """,
    )
    assert server.names == ("action_a", "action_b")
    assert await server.run(call(n=1)) == ActionResult(slots={"n": 2}, messages=("utter_x",))
    assert await server.run(call("action_b")) == ActionResult()


async def test_plain_functions_run_beside_the_event_loop(tmp_path: Path) -> None:
    server = returning(tmp_path, "ActionResult(slots={'thread': __import__('threading').current_thread().name})")
    assert (await server.run(call())).slots["thread"] != threading.current_thread().name


async def test_an_unknown_action_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="did you mean 'action_a'"):
        await returning(tmp_path, "None").run(call("action_aa"))


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_what_an_action_raises_carries_its_name_and_line(tmp_path: Path, kind: str) -> None:
    server = made(tmp_path, f"@action('action_a')\n{kind} a(call):\n    return 1 / 0\n")
    with pytest.raises(SkillError, match=r"'action_a': raised ZeroDivisionError: .* at actions\.py:4") as caught:
        await server.run(call())
    assert caught.value.skill == "action_a"


async def test_an_action_that_exits_does_not_stop_the_bot(tmp_path: Path) -> None:
    with pytest.raises(SkillError, match="raised SystemExit"):
        await returning(tmp_path, "__import__('sys').exit(3)").run(call())


async def test_an_own_timeout_is_not_taken_for_the_deadline(tmp_path: Path) -> None:
    server = made(tmp_path, "@action('action_a')\ndef a(call):\n    raise TimeoutError('database')\n")
    with pytest.raises(SkillError, match="raised TimeoutError: database") as caught:
        await server.run(call())
    assert not isinstance(caught.value, DeadlineExceeded)


HANGING = """
import threading
gate = threading.Event()
@action("action_a")
def a(call):
    gate.wait()
@action("action_quick")
def quick(call):
    return None
@action("action_free")
async def free(call):
    gate.set()
@action("action_slow")
async def slow(call):
    import asyncio
    await asyncio.sleep(3600)
"""


@pytest.mark.parametrize("name", ["action_a", "action_slow"])
async def test_an_action_that_hangs_is_given_up(tmp_path: Path, name: str) -> None:
    server = made(tmp_path, HANGING, ActionLimits(deadline=0.05))
    with pytest.raises(DeadlineExceeded, match=name):
        await server.run(call(name))
    await server.run(call("action_free"))


async def test_hanging_actions_keep_their_places_until_they_end(tmp_path: Path) -> None:
    server = made(tmp_path, HANGING, ActionLimits(deadline=0.3, places=1))
    with pytest.raises(DeadlineExceeded, match="action_a"):
        await server.run(call())
    with pytest.raises(DeadlineExceeded, match="action_quick"):
        await server.run(call("action_quick"))
    await server.run(call("action_free"))
    assert await server.run(call("action_quick")) == ActionResult()


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("{'slots': {}}", "expected an ActionResult"),
        ("ActionResult(slots=[1])", "`slots` to be a map"),
        ("ActionResult(slots={1: 1})", "the name of a slot, found 1"),
        ("ActionResult(slots={'a': object()})", "the value of slot 'a'"),
        ("ActionResult(slots={'a': float('nan')})", "the value of slot 'a'"),
        ("ActionResult(messages='utter_x')", "`messages` to be a tuple"),
        ("ActionResult(messages=(5,))", "a message to be the name of a response"),
    ],
)
async def test_a_wrong_result_says_what_was_expected(tmp_path: Path, value: str, hint: str) -> None:
    with pytest.raises(SkillError, match=hint):
        await returning(tmp_path, value).run(call())


async def test_results_become_plain_values(tmp_path: Path) -> None:
    result = await returning(tmp_path, "ActionResult(slots={'a': (1, {2: 'x'})}, messages=['utter_x'])").run(call())
    assert (result.slots, result.messages) == ({"a": [1, {"2": "x"}]}, ("utter_x",))


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("ActionResult(slots={'sise': 1})", "no slot 'sise'; did you mean 'size'"),
        ("ActionResult(messages=('utter_x',))", "no response 'utter_x'"),
    ],
)
async def test_names_are_checked_against_the_program(tmp_path: Path, value: str, hint: str) -> None:
    program = Program(slots={"size": Slot(name="size")})
    with pytest.raises(SkillError, match=hint):
        await returning(tmp_path, value, program).run(call())


@pytest.mark.parametrize(
    ("source", "where", "hint"),
    [
        ("def a(:\n", "actions.py:2", "not valid Python"),
        ("\nraise ValueError('no database')\n", "actions.py:3", "raised ValueError: no database"),
        ("import nothing_like_this\n", "actions.py:2", "ModuleNotFoundError"),
        ("raise SystemExit\n", "actions.py:2", "SystemExit"),
        ("@action\ndef a(call): ...\n", "actions.py:2", "@action needs a name"),
        ("@action('utter_a')\ndef a(call): ...\n", "actions.py:2", "@action needs a name"),
        ("@action('x')\ndef a(): ...\n", "actions.py:2", "must take one argument"),
        ("@action('x')\ndef a(call): ...\n@action('x')\ndef b(call): ...\n", "actions.py:4", "defined twice"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_refused_with_its_line(
    tmp_path: Path, source: str, where: str, hint: str
) -> None:
    with pytest.raises(ProjectError) as caught:
        made(tmp_path, source)
    assert caught.value.where == where and hint in str(caught.value)


def test_a_missing_file_and_a_link_to_outside_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"there is no 'actions\.py'"):
        LocalActions(tmp_path)
    (tmp_path / "elsewhere.py").write_text("")
    (tmp_path / "bot").mkdir()
    (tmp_path / "bot" / "actions.py").symlink_to(tmp_path / "elsewhere.py")
    with pytest.raises(ProjectError, match="link to a file outside"):
        LocalActions(tmp_path / "bot")


async def test_each_load_is_a_module_of_its_own_and_fresh(tmp_path: Path) -> None:
    before = returning(tmp_path, "ActionResult(slots={'v': 1})")
    after = returning(tmp_path, "ActionResult(slots={'v': 2})")
    assert (await before.run(call())).slots == {"v": 1}
    assert (await after.run(call())).slots == {"v": 2}
    assert "actions" not in sys.modules
    assert not (tmp_path / "__pycache__").exists()


def test_a_function_stays_a_plain_function() -> None:
    @action("action_double")
    def double(number: int) -> int:
        return 2 * number

    assert double(4) == 8


async def test_an_action_may_word_a_response_and_bring_other_facts(tmp_path: Path) -> None:
    program = Program(responses={"utter_x": ()})
    head = "from bot.actions import Worded\nfrom bot.core.events import FollowUp\n"
    result = "ActionResult(messages=(Worded('{}', {{'n': 1}}),), events=(FollowUp(action='action_b'),))"
    body = head + "@action('action_a')\ndef a(call):\n    return "
    found = await made(tmp_path, body + result.format("utter_x"), program=program).run(call())
    assert found.messages == (Worded("utter_x", {"n": 1}),) and found.events == (FollowUp(action="action_b"),)
    with pytest.raises(SkillError, match="there is no response 'utter_y'"):
        await made(tmp_path, body + result.format("utter_y"), program=program).run(call())
    with pytest.raises(SkillError, match="`events` to be a tuple of facts"):
        await made(tmp_path, body + "ActionResult(events=({'event': 'slot'},))").run(call())
