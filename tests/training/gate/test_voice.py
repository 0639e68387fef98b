"""The guards of a generator, on made-up figures of thirty held-out rows."""

from __future__ import annotations

from dataclasses import replace
from math import log

from training.examples import Origin
from training.gate.evidence import Evidence, Side
from training.gate.judge import judge
from training.gate.measured import Judged
from training.gate.verdict import Check, Integrity
from training.gate.voice import checks, unsupported_sentences
from training.likeness import rouge_l
from training.rows import Row
from training.spoken import Spoken, figures

PASSAGE = "The label is free. Delivery takes three days."
RIGHT = "Happy to help! The label is free."


def rows(count: int = 30, quiet: int = 10) -> tuple[Row, ...]:
    return tuple(
        Row(id=f"r{n}", text=f"question {n}", conversation=f"talk {n}", passages=(PASSAGE,), reply=RIGHT * (n >= quiet))
        for n in range(count)
    )


def spoken(text: str = "The label is free.", quiet: str = "", perplexity: float = 8.0, talk: float = 2.0) -> Spoken:
    found = rows()
    texts = tuple(text if row.reply else quiet for row in found)
    return Spoken(found, texts, tuple(10 * log(perplexity) for _ in found), (10,) * len(found), talk)


def states(candidate: Spoken, before: Spoken) -> dict[str, str]:
    return {check.name: check.state for check in checks(candidate, before, before.talk, "the base")}


def told(name: str, candidate: Spoken, before: Spoken) -> Check:
    return next(check for check in checks(candidate, before, before.talk, "the base") if check.name == name)


def test_better_wording_passes_with_its_figures() -> None:
    found = checks(spoken(RIGHT), spoken(perplexity=20.0), 2.0, "the one in use")
    assert {check.state for check in found} == {"passed"}
    assert found[0].sentence.startswith("voice: perplexity of 20 held-out replies of people 8.00, 20.00 with the one")


def test_what_gets_worse_fails() -> None:
    before = spoken()
    assert states(spoken(perplexity=12.0), before)["voice"] == "failed"
    assert states(spoken(talk=2.04), before)["forgetting"] == "passed"
    assert states(spoken(talk=2.06), before)["forgetting"] == "failed"
    assert states(spoken("The label costs a fortune."), before)["support"] == "failed"
    assert states(spoken(quiet="The label is free."), before)["silence"] == "failed"


def test_sentences_that_are_not_supported_are_quoted() -> None:
    wrong, total, quotes = unsupported_sentences(spoken("The label is free. It comes by pigeon."))
    assert sum(wrong) * 2 == sum(total) == 40
    assert quotes[0].text == "It comes by pigeon." and quotes[0].note == "word: pigeon"
    assert told("support", spoken("It comes by pigeon."), spoken()).examples


def test_a_model_that_says_nothing_has_no_sentences() -> None:
    assert "support" not in states(spoken(""), spoken(""))


def test_figures_of_a_perfect_wording() -> None:
    found = figures(spoken(RIGHT))
    assert (found["rouge_l"].value, found["bleu"].value, found["edits"].value) == (1.0, 1.0, 0.0)
    assert round(found["perplexity"].value, 6) == 8.0
    assert figures(replace(spoken(), rows=rows(quiet=30))) == {}


def wordings(said: str) -> Side:
    score = rouge_l(said, RIGHT)
    rows = [Judged(f"question {n}", RIGHT, said, score, origin=Origin(group=f"talk {n}")) for n in range(80)]
    return Side({}, scored={"generator": rows})


def test_other_words_are_no_turns_that_were_lost() -> None:
    whole = Integrity(passed=True, rows=1, agreement=1.0, largest_change=0.0)
    other = "Nobody can tell"
    evidence = Evidence(
        whole,
        wordings(other),
        wordings(RIGHT),
        "old",
        ("generator",),
        more=(Check(name="voice", state="passed", sentence="voice: fine"),),
    )
    found = judge(evidence)
    assert [item.finding for item in found.comparisons] == ["worse"] and not found.promote
    assert not found.flips and [check.name for check in found.checks] == ["voice"]
    better = judge(Evidence(whole, wordings(RIGHT), wordings(other), "old", ("generator",)))
    assert better.promote and better.comparisons[0].metric == "rouge_l"
