"""The chain on a page and in a terminal."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from bot.cli.telling import tell
from bot.core import events as ev
from tests.core.talk import Talk, entity, hit, program
from tests.training.why.bots import PLACES, WordJudge, asked_order, received, turn
from training.why.explain import Sources, explain
from training.why.page import pieces, render
from training.why.values import Lessons, Neighbour, Why
from training.why.words import attribute

JUDGE = WordJudge({"order_status": {"where": 3.0, "refund": -2.0}, "pay": {"refund": 1.0}})


def full() -> Why:
    """A chain with everything in it."""
    talk = Talk(program(), hits=[hit("Thirty <b>days</b>.", 0.9)])
    talk.say("where is <i>it</i>", ("order_status", 0.9), ("refunds", 0.05), entities=[entity("city", "Ghent")])
    talk.say("how long may I keep it?", "refunds")
    talk.add(ev.Rated(message="b8", score=1), ev.Corrected(target=2, intent="change_address", reply="Thirty days."))
    found = explain(turn(talk, 2), Sources(program(), PLACES, missing=("a note",)))
    near = (
        Neighbour(text="how long", intent="refunds", similarity=0.9, where="data/nlu.yml:7"),
        Neighbour(
            text="keep it", intent="refunds", similarity=0.8, where="", conversation="c4", turn=2, rules=("click",)
        ),
    )
    lessons = Lessons(trained_on=10, same=True, compared=10, nearest=near, known=near[0])
    return found.model_copy(update={"words": attribute("where is the refund", JUDGE), "lessons": lessons})


def shown(why: Why, width: int = 120) -> str:
    out = StringIO()
    tell(why, Console(file=out, width=width, highlight=False, soft_wrap=True))
    return out.getvalue()


@pytest.mark.parametrize("draw", [render, shown], ids=["page", "terminal"])
def test_every_link_of_the_chain_is_shown(draw: object) -> None:
    assert callable(draw)
    text = draw(full())
    for part in (
        "how long may I keep it?", "intent order_status", "data/nlu.yml:7", "conversation c4, turn 2", "Returns",
        "order_status", "begins flow change_address", "a note", "Thirty days.", "0.500",
    ):  # fmt: skip
        assert part in text, part


def test_words_of_customers_are_not_markup() -> None:
    page = render(explain(turn(asked_order(), 1), Sources(program())).model_copy(update={"user": "<script>x</script>"}))
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert "src=" not in page and "href=" not in page


def test_a_terminal_line_is_wrapped_not_cut() -> None:
    lines = shown(full(), width=60).splitlines()
    assert max(map(len, lines[2:])) <= 60
    assert "Thirty days." in " ".join(" ".join(lines).split())


def test_words_are_coloured_by_their_weight_and_nothing_is_lost() -> None:
    text = "where is the refund now?"
    found = pieces(text, attribute(text, JUDGE))
    assert "".join(piece.text for piece in found) == text
    sides = {piece.text: piece.side for piece in found}
    assert (sides["where"], sides["is"], sides["refund"]) == ("for", "", "against")


def test_a_turn_of_which_little_is_known_is_shown_all_the_same() -> None:
    talk = Talk(program())
    talk.add(received(1, "hello", live=True))
    why = explain(turn(talk), Sources())
    assert why.headline == "Nothing was decided in this turn yet."
    assert "hello" in shown(why) and "none yet" in render(why)
