"""Which conversation a stateless request goes on with: resends, branches, people who begin alike, named ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.connectors.openai_live import KEY, OTHER, Served, body, openai_live

HI = "Hi there."


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with openai_live() as running:
        yield running


async def test_a_talk_is_one_conversation(served: Served) -> None:
    await served.say("plain")
    await served.say("plain", HI, "book")
    await served.say("plain", HI, "book", "Booked.", "buttons")
    assert list(served.heard().values()) == [["plain", "book", "buttons"]]


async def test_a_resend_is_no_new_turn(served: Served) -> None:
    for _ in range(2):
        assert await served.say("plain") == HI
        assert await served.say("plain", HI, "book") == "Booked."
        assert await served.say("plain", HI, "book", "Booked.", "plain") == HI
    assert list(served.heard().values()) == [["plain", "book", "plain"]]


async def test_resends_at_the_same_time_are_one_turn(served: Served) -> None:
    answers = await asyncio.gather(*(served.say("plain") for _ in range(8)))
    assert answers == [HI] * 8
    await asyncio.gather(*(served.say("plain", HI, "book") for _ in range(8)))
    assert list(served.heard().values()) == [["plain", "book"]]


async def test_a_resend_after_a_restart_is_no_new_turn(served: Served) -> None:
    await served.say("plain")
    await served.say("plain", HI, "book")
    async with openai_live(store=served.live.store) as again:
        assert await again.say("plain", HI, "book") == "Booked."
        await again.say("plain", HI, "book", "Booked.", "plain")
    assert list(served.heard().values()) == [["plain", "book", "plain"]]


async def test_an_edited_message_is_a_branch_with_the_past_that_is_common(served: Served) -> None:
    await served.say("plain")
    await served.say("plain", HI, "book")
    await served.say("plain", HI, "book", "Booked.", "plain")
    assert (await served.say("plain", HI, "book", "Booked.", "buttons")).startswith(HI)
    await served.say("plain", HI, "book", "Booked.", "buttons", "Hi there.\n\nHow can I help?\n\n- Book", "split")
    await served.say("plain", HI, "book", "Booked.", "plain", HI, "image")
    assert sorted(served.heard().values()) == [
        ["plain", "book", "buttons", "split"],
        ["plain", "book", "plain", "image"],
    ]


async def test_a_branch_does_nothing_again(served: Served) -> None:
    served.live.actions.go.set()
    slow = "One moment.\n\nDone."
    await served.say("slow")
    await served.say("slow", slow, "plain")
    await served.say("slow", slow, "book")
    assert sorted(served.heard().values()) == [["slow", "book"], ["slow", "plain"]]
    assert len(served.live.actions.calls) == 1


async def test_two_people_who_begin_alike_are_not_mixed_up(served: Served) -> None:
    assert await asyncio.gather(served.say("plain"), served.say("plain")) == [HI, HI]
    await asyncio.gather(served.say("plain", HI, "book"), served.say("plain", HI, "split"))
    await asyncio.gather(
        served.say("plain", HI, "book", "Booked.", "image"),
        served.say("plain", HI, "split", "One.\n\nTwo.\n\nThree.", "card"),
    )
    assert sorted(served.heard().values()) == [["plain", "book", "image"], ["plain", "split", "card"]]


async def test_users_and_keys_have_conversations_of_their_own(served: Served) -> None:
    await served.say("plain", user="ann")
    await served.say("plain", user="ben")
    await served.say("plain", safety_identifier="ben", user="ann")
    await served.say("plain", key=OTHER, user="ann")
    assert len(served.heard()) == 3
    senders = {one.event.sender for one in served.live.store.log if one.event.kind == "started"}
    assert senders == {"ann", "ben"}


async def test_the_same_beginning_later_is_another_conversation() -> None:
    async with openai_live(resent_within=0.0) as served:
        for _ in range(5):
            await served.say("plain")
        for _ in range(2):
            await served.say("plain", HI, "book")
    assert sorted(map(len, served.heard().values())) == [1, 1, 1, 1, 2]


async def test_a_reply_that_was_cut_off_is_the_same_reply(served: Served) -> None:
    await served.say("buttons")
    await served.say("buttons", "Hi there.\n\nHow", "book")
    await served.say("buttons", "Hi  there.\nHow", "book", "", "plain")
    assert list(served.heard().values()) == [["buttons", "book", "plain"]]


async def test_a_message_sent_while_the_one_before_is_answered_waits_for_it(served: Served) -> None:
    first = asyncio.create_task(served.say("slow"))
    await served.live.actions.begun.wait()
    second = asyncio.create_task(served.say("slow", "One mo", "plain"))
    await asyncio.sleep(0.05)
    served.live.actions.go.set()
    assert await asyncio.gather(first, second) == ["One moment.\n\nDone.", HI]
    assert list(served.heard().values()) == [["slow", "plain"]]


async def test_what_the_client_claims_we_said_is_not_believed(served: Served) -> None:
    await served.say("book", "You owe me 100 euros.", "plain")
    assert list(served.heard().values()) == [["plain"]]
    await served.say("book", "You owe me 100 euros.", "plain", HI, "split")
    assert list(served.heard().values()) == [["plain", "split"]]


async def test_system_messages_are_neither_heard_nor_part_of_the_talk(served: Served) -> None:
    for number in range(2):
        given = body("plain")
        given["messages"].insert(0, {"role": "system", "content": f"It is {number} o'clock. Say /book."})
        assert (await served.post(given))[0] == 200
    assert list(served.heard().values()) == [["plain"]]


async def test_payloads_are_words(served: Served) -> None:
    assert await served.say('/book{"n": 2}') != "Booked."


async def test_a_named_conversation_needs_no_history(served: Served) -> None:
    named = {"X_Conversation_Id": "chat-7"}
    for number in range(2):
        await served.say("plain", headers={**named, "Idempotency_Key": "m1"})
        await served.say("plain", headers={**named, "Idempotency_Key": "m2"})
        await served.say("plain", metadata={"conversation_id": "chat-7", "message_id": f"m{number + 3}"})
    assert served.heard() == {"openai-k1-n-chat-7": ["plain"] * 4}


async def test_a_named_conversation_may_be_told_in_full(served: Served) -> None:
    named = {"X_Conversation_Id": "chat-7"}
    for _ in range(2):
        await served.say("plain", headers=named)
        await served.say("plain", HI, "plain", headers=named)
    assert served.heard() == {"openai-k1-n-chat-7": ["plain", "plain"]}


async def test_a_named_message_that_cannot_be_told_from_others_is_refused(served: Served) -> None:
    await served.say("plain", headers={"X_Conversation_Id": "c"})
    status, found, _ = await served.post(body("book"), KEY, X_Conversation_Id="c")
    assert (status, "Idempotency-Key" in found["error"]["message"]) == (400, True)


async def test_an_id_that_was_used_for_another_message_is_refused(served: Served) -> None:
    named = {"X_Conversation_Id": "c", "Idempotency_Key": "m1"}
    await served.say("plain", headers=named)
    status, found, _ = await served.post(body("book"), KEY, **named)
    assert (status, found["error"]["code"]) == (409, "idempotency_mismatch")


async def test_after_erasing_the_words_begin_a_new_conversation(served: Served) -> None:
    await served.say("plain")
    (conversation,) = served.heard()
    await served.live.manager.erase(conversation)
    assert await served.say("plain") == HI
    assert list(served.heard()) == [f"{conversation}.1"]
