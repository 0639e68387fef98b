"""The page shows what changes, quotes safely, and forgets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.training.gate.rows import evidence, pair
from training.evaluate import IntentResult
from training.examples import Origin
from training.gate.evidence import Evidence
from training.gate.judge import judge
from training.gate.page import forget, points, render, write_pages
from training.gate.verdict import Policy, Verdict


def talked() -> Evidence:
    """Two turns got worse, one of conversation c1 and one of c2, with markup in the first."""
    new, old = pair(300, 4, 2)
    said = {304: ("<b>stolen</b> card", "c1"), 305: ("where is it", "c2")}
    sides = [[_said(item, said.get(at)) for at, item in enumerate(side)] for side in (new, old)]
    return evidence((sides[0], sides[1]))


def _said(item: IntentResult, said: tuple[str, str] | None) -> IntentResult:
    return item if said is None else replace(item, row=replace(item.row, text=said[0], origin=Origin(group=said[1])))


def test_the_page_says_what_happens_and_why_and_needs_nothing_else() -> None:
    page = render(judge(talked(), Policy(critical=frozenset({"a"}))))
    assert "The candidate stays out of use" in page
    assert "a critical intent got worse" in page
    assert "Turns that get worse (2)" in page
    assert "Turns that get better (4)" in page
    assert "src=" not in page and "href=" not in page


def test_words_of_customers_are_not_markup() -> None:
    page = render(judge(talked()))
    assert "&lt;b&gt;stolen&lt;/b&gt; card" in page
    assert "<b>stolen" not in page


def test_a_first_bundle_has_a_page_too() -> None:
    found = replace(talked(), current=None, current_id=None)
    page = render(judge(found))
    assert "may be put to use" in page
    assert "it is the first" in page
    assert "Turns that get worse" not in page


def test_the_page_is_drawn_from_the_stored_verdict_alone(tmp_path: Path) -> None:
    page = write_pages(tmp_path / "one", judge(talked()))
    stored = Verdict.model_validate_json((tmp_path / "one" / "verdict.json").read_bytes())
    assert render(stored) == page.read_text()


def test_a_person_who_is_forgotten_is_quoted_nowhere(tmp_path: Path) -> None:
    write_pages(tmp_path / "one", judge(talked(), Policy(critical=frozenset({"a"}))))
    assert forget(tmp_path, {"c1"}) == (tmp_path / "one" / "diff.html",)
    left = "".join(path.read_text() for path in (tmp_path / "one").iterdir())
    assert "stolen" not in left
    assert "where is it" in left
    assert forget(tmp_path, {"c1"}) == ()


def test_points_have_their_sign() -> None:
    assert (points(0.021), points(-0.021)) == ("+2.1", "−2.1")
