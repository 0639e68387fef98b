"""The queue: what may be asked, what is asked first, and what a person gets to see."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from bot.config import Settings
from bot.core.defaults import OUT_OF_SCOPE
from bot.core.events import Consented, Corrected, Recorded
from bot.core.protocols import Understanding
from tests.training.reviewing import agent, asked, bot, desk, logged, read, user
from training.judgements import Decision, fact, note
from training.review import Batch, queue, uncertainty
from training.review_desk import anonymous, readable, unknown
from training.review_items import Item

SURE = [f"where is parcel number {word}" for word in ("one", "two", "three", "four", "five", "six", "seven", "eight")]


def chosen(batch: Batch) -> list[str]:
    return [item.text for item in batch.items]


def counts(*logs: Batch) -> Counter[str]:
    return Counter(text for batch in logs for text in chosen(batch))


async def test_the_model_is_asked_about_what_it_cannot_decide(tmp_path: Path) -> None:
    store = await asked(tmp_path, *SURE, "hello money parcel", "nonsense words here")
    drawn = counts(*(queue(store.log, desk(), by, 3) for by in "abcdefgh"))
    assert set(dict(drawn.most_common(2))) == {"hello money parcel", "nonsense words here"}


def test_uncertainty_is_of_the_intent_and_of_whether_any_fits() -> None:
    sure, torn, lost = read(["my parcel", "parcel money", "qwertz"])
    assert uncertainty(sure) < uncertainty(torn) and uncertainty(lost) < uncertainty(torn)
    edge = Understanding("x", "en", True, sure.intents, 0.51, 0.5, (), "b1", sure.vector)
    assert uncertainty(edge) > 0.9


async def test_what_says_the_same_is_asked_once(tmp_path: Path) -> None:
    store = await asked(tmp_path, *["Parcel money?"] * 6, "parcel MONEY", *SURE)
    asked_often = [
        sum("money" in text.lower() for text in chosen(queue(store.log, desk(), by, 4))) for by in "abcdefgh"
    ]
    assert sum(asked_often) <= 12  # the audit may still take one


async def test_only_words_of_users_that_were_answered_can_be_asked(tmp_path: Path) -> None:
    store = await logged(
        tmp_path, [user("get me a person"), bot(), user("12345"), agent("Hello, Ann here"), user("hi Ann")]
    )
    assert chosen(queue(store.log, desk(), "me", 9)) == ["get me a person"]


async def test_judged_turns_are_not_asked_again(tmp_path: Path) -> None:
    store = await asked(tmp_path, "parcel one", "parcel money")
    await note(store, "c1", Corrected(target=1, intent="refund"))
    batch = queue(store.log, desk(), "me", 9)
    assert (chosen(batch), batch.open, batch.judged) == (["parcel one"], 1, 1)
    await note(store, "c1", Corrected(target=1, withdrawn=True))
    assert len(queue(store.log, desk(), "me", 9).items) == 2


async def test_judged_turns_that_the_audit_hits_count_without_being_asked(tmp_path: Path) -> None:
    store = await asked(tmp_path, *SURE, *(f"hello {text}" for text in SURE))
    for n in range(8):
        await note(store, f"c{n}", Corrected(target=1, intent="track"))
    kept = [one for by in "abcdefgh" for one in queue(store.log, desk(), by, 8).kept]
    assert kept and {one.conversation for one in kept} <= {f"c{n}" for n in range(8)}
    again = kept[0].fact("me")
    assert (again.intent, again.audit, again.by, again.metadata["kept"]) == ("track", True, "me", True)


async def test_a_newer_bundle_that_answers_otherwise_is_a_reason(tmp_path: Path) -> None:
    def newer(texts: list[str]) -> list[Understanding]:
        return read([text.replace("four", "money").replace("parcel", "") if "four" in text else text for text in texts])

    store = await asked(tmp_path, *SURE)
    items = [item for by in "abcdefgh" for item in queue(store.log, desk(candidate=newer), by, 2).items]
    assert {item.text for item in items if item.reason == "disagreement"} == {"where is parcel number four"}
    assert not any(item.reason == "disagreement" for item in queue(store.log, desk(), "a", 2).items)


async def test_signs_that_it_went_wrong_are_a_reason(tmp_path: Path) -> None:
    bad = [user("parcel lost?"), bot("Hello!", rating=-1)]
    store = await logged(tmp_path, bad, *([user(text), bot(rating=1)] for text in SURE))
    items = [
        item for by in "abcdefghijkl" for item in queue(store.log, desk(), by, 2).items if item.reason == "implicit"
    ]
    assert items and {(item.text, item.signs) for item in items} == {("parcel lost?", ("thumb_down",))}


async def test_what_signs_have_told_is_not_asked(tmp_path: Path) -> None:
    doubtful = ["hello parcel money", "money parcel hello now", "parcel hello or money"]
    talks = [[user(text), bot(rating=1.0 if text == doubtful[0] else None)] for text in doubtful]
    store = await logged(tmp_path, *talks, *([user(text), bot()] for text in SURE))
    drawn = counts(*(queue(store.log, desk(), by, 2) for by in "abcdefghijkl"))
    assert drawn[doubtful[0]] < min(drawn[doubtful[1]], drawn[doubtful[2]])


async def test_of_settled_turns_those_are_asked_whose_meaning_stayed_doubtful(tmp_path: Path) -> None:
    doubtful = ["hello parcel money", "money parcel hello now", "parcel hello or money"]
    store = await asked(tmp_path, *doubtful, *SURE)
    settled = {(f"c{n}", 1): 0.99 for n in range(1, 3 + len(SURE))} | {("c0", 1): 0.4}
    drawn = counts(*(queue(store.log, desk(settled=settled), by, 2) for by in "abcdefghijkl"))
    assert drawn[doubtful[0]] > 2 * max(drawn[text] for text in (*doubtful[1:], *SURE))


async def test_a_tenth_is_judged_by_a_second_person_but_by_no_third(tmp_path: Path) -> None:
    store = await asked(tmp_path, *(f"parcel {n} {text}" for n in "abcdefg" for text in SURE))
    for n in range(56):
        decision = Decision(conversation=f"c{n}", turn=1, verdict="relabel", intent="track")
        await note(store, f"c{n}", fact(decision, "parcel", "ann", {}))
    assert not queue(store.log, desk(), "ann", 50).items
    seconds = queue(store.log, desk(), "bob", 50).items
    assert seconds and {item.reason for item in seconds} == {"second"} and len(seconds) <= 5
    for item in seconds:
        await note(store, item.conversation, Corrected(target=1, intent="track", by="bob"))
    assert not {i.where for i in queue(store.log, desk(), "cid", 50).items} & {i.where for i in seconds}


async def test_an_item_shows_all_that_one_needs(tmp_path: Path) -> None:
    talk = [
        user("hello", "greet"),
        bot("Hi!"),
        user("my money for the parcel"),
        bot("It is late."),
        user("no, money", "refund"),
    ]
    store = await logged(tmp_path, [*talk, bot("Sure.")])
    item = next(item for item in queue(store.log, desk(), "me", 9).items if item.turn == 2)
    assert [line.text for line in (*item.before, *item.replies, *item.after)] == [
        "hello", "Hi!", "It is late.", "no, money", "Sure.",
    ]  # fmt: skip
    assert {guess.intent for guess in item.guesses} == {"track", "refund", "greet"}
    assert {near.intent for near in item.neighbours} == {"track", "refund", "greet"}
    assert 0 < item.neighbours[0].alike < 1
    assert (item.understood, item.accepts, item.place, item.of > 0) == ("track", "track", item.place, True)


async def test_some_guesses_are_shuffled_and_the_judgement_tells(tmp_path: Path) -> None:
    store = await asked(tmp_path, *(f"parcel {n} {text}" for n in "abcdefg" for text in SURE))
    items = queue(store.log, desk(), "me", 56).items
    shuffled = [item for item in items if item.shuffled]
    assert 0 < len(shuffled) < len(items) / 3
    told = shuffled[0].metadata()
    assert told["best"] == "track" and told["shown"] == [guess.intent for guess in shuffled[0].guesses]
    assert any(item.guesses[0].intent != "track" for item in shuffled)
    assert all(item.guesses[0].intent == "track" for item in items if not item.shuffled)


async def test_what_the_bot_refused_can_be_accepted_as_none_of_ours(tmp_path: Path) -> None:
    store = await asked(tmp_path, "nonsense words")
    refused = [
        recorded.model_copy(update={"event": recorded.event.model_copy(update={"in_scope": 0.1})})
        if recorded.event.kind == "understood" else recorded for recorded in store.log
    ]  # fmt: skip

    def only(log: list[Recorded], **more: Any) -> Item:
        return queue(log, desk(**more), "me", 1).items[0]

    assert only([*refused], outside=OUT_OF_SCOPE).accepts == OUT_OF_SCOPE
    assert only([*store.log], labels={}).accepts == ""  # an intent that the project has no more


async def test_the_same_log_gives_the_same_batch_and_an_empty_one_none(tmp_path: Path) -> None:
    store = await asked(tmp_path, *SURE)
    assert queue(store.log, desk(), "me", 3) == queue(store.log, desk(), "me", 3)
    assert queue([], desk(), "me", 3).items == ()


def test_what_is_written_into_the_project_names_nobody() -> None:
    (first, plain) = anonymous(["mail me at zacharias@shop.example", "wrap it", "wrap it"], Settings())
    assert "zacharias" not in first and "@example.com" in first and plain == "wrap it"


async def test_people_who_refused_are_not_asked_about(tmp_path: Path) -> None:
    store = await asked(tmp_path, "parcel one", "parcel two")
    await note(store, "c0", Consented(train=False))
    assert {recorded.conversation for recorded in readable(store.log, Settings())} == {"c1"}


async def test_intents_that_the_project_lacks_wait_in_the_log_with_their_texts(tmp_path: Path) -> None:
    store = await asked(tmp_path, "wrap it", "Wrap it!", "wrap my gift", "parcel")
    for n, intent in enumerate(("gift", "gift", "gift", "track")):
        await note(store, f"c{n}", Corrected(target=1, intent=intent))
    assert unknown(store.log, desk().labels) == {"gift": ["wrap it", "wrap my gift"]}
