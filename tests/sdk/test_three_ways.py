"""rasa-sdk's real server over HTTP, over gRPC, and its executor in this process: a conversation must come out alike."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core import events as ev
from bot.project.endpoints import Endpoint
from bot.sdk.grpc import GrpcActions
from bot.sdk.http import HttpActions
from bot.sdk.inprocess import Code, InProcessActions
from tests.sdk.talking import FORTY, PROJECT, converse, plain, project_program, replies, sdk_server


@pytest.mark.slow
async def test_forty_turns_give_identical_events_in_process_over_http_and_over_grpc() -> None:
    local = plain(await converse(InProcessActions(Code(PROJECT, "actions"), project_program())))
    with sdk_server() as address:
        over_http = HttpActions(Endpoint(url=address), project_program())
        http = plain(await converse(over_http))
        await over_http.close()
    with sdk_server(grpc_server=True) as address:
        over_grpc = GrpcActions(Endpoint(url=address, grpc=True), project_program())
        grpc = plain(await converse(over_grpc))
        await over_grpc.close()
    assert len(FORTY) == 40 and len(local) > 300
    assert http == local
    assert grpc == local


async def test_a_streamed_response_is_said_before_the_action_is_done() -> None:
    history = await converse(InProcessActions(Code(PROJECT, "actions"), project_program()), ["stream"])
    kinds = [recorded.event.kind for recorded in history if recorded.event.kind in ("replied", "action_ran")]
    assert kinds[-3:] == ["replied", "action_ran", "replied"] and replies(history) == [["One.", "Two."]]


async def test_what_the_forty_turns_say() -> None:
    history = await converse(InProcessActions(Code(PROJECT, "actions"), project_program()))
    said = replies(history)
    assert said[:4] == [
        ["Hello Bob, visit number 1."],
        ["How many large ones?"],
        ["That is too many.", "How many large ones?"],
        ["3 of size large."],
    ]
    assert all(said) and len(said) == 40
    facts: list[Any] = [recorded.event for recorded in history]
    found = {type(fact) for fact in facts}
    assert {ev.ActionRejected, ev.FollowUp, ev.SlotsReset, ev.Reverted, ev.ReminderSet, ev.ReminderCancelled} <= found
    assert facts[-1] == ev.Settled(outcome="replied")
