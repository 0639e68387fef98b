"""rasa-sdk's real server over HTTP, over gRPC, and its executor in this process: a conversation must come out alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core import events as ev
from bot.manager import ManagerLimits
from bot.models import Deadlines
from bot.project.endpoints import Endpoint
from bot.sdk.grpc import GrpcActions
from bot.sdk.http import HttpActions
from bot.sdk.inprocess import Code, InProcessActions
from tests.fakes import eventually
from tests.sdk.talking import FORTY, PROJECT, converse, plain, project_program, replies, sdk_server

TOLD = {
    ev.ActionRejected,
    ev.FollowUp,
    ev.SlotsReset,
    ev.Reverted,
    ev.ReminderSet,
    ev.ReminderCancelled,
    ev.LoopChanged,
}


@pytest.mark.slow
async def test_forty_turns_give_identical_events_in_process_over_http_and_over_grpc() -> None:
    local = await converse(InProcessActions(Code(PROJECT, "actions"), project_program()))
    with sdk_server() as address:
        over_http = HttpActions(Endpoint(url=address), project_program())
        http = await converse(over_http)
        await over_http.close()
    with sdk_server(grpc_server=True) as address:
        over_grpc = GrpcActions(Endpoint(url=address, grpc=True), project_program())
        grpc = await converse(over_grpc)
        await over_grpc.close()
    said = replies(local)
    assert len(said) == len(FORTY) == 40 and all(said) and len(local) > 400
    assert {type(recorded.event) for recorded in local} > TOLD
    assert plain(http) == plain(local)
    assert plain(grpc) == plain(local)


@pytest.mark.slow
async def test_an_endless_stream_is_interrupted_at_the_deadline_and_the_turn_has_its_outcome(tmp_path: Path) -> None:
    limits = ManagerLimits(deadlines=Deadlines(action=1.0))
    with sdk_server(grpc_server=True) as address:
        over_grpc = GrpcActions(Endpoint(url=address, grpc=True), project_program())
        local = InProcessActions(Code(PROJECT, "actions"), project_program())
        for server, note in ((over_grpc, tmp_path / "grpc"), (local, tmp_path / "local")):
            history = await converse(server, [f"drip to={note}"], limits)
            assert history[-1].event == ev.Settled(outcome="failed") and all(replies(history))
            await eventually(note.exists)
        await over_grpc.close()


async def test_a_form_is_filled_and_checked_by_the_projects_own_actions() -> None:
    history = await converse(InProcessActions(Code(PROJECT, "actions"), project_program()), FORTY[:7])
    assert replies(history) == [
        ["Hello Bob, visit number 1."],
        ["How many large ones?"],
        ["That is too many.", "How many large ones?"],
        ["3 of size large."],
        ["5 messages, the last was count, in 21 words."],
        ["There is no size tiny.", "Which size?"],
        ["3 of size small."],
    ]


async def test_a_streamed_response_is_said_before_the_action_is_done() -> None:
    history = await converse(InProcessActions(Code(PROJECT, "actions"), project_program()), ["stream"])
    kinds = [recorded.event.kind for recorded in history if recorded.event.kind in ("replied", "action_ran")]
    assert kinds[-3:] == ["replied", "action_ran", "replied"] and replies(history) == [["One.", "Two."]]
