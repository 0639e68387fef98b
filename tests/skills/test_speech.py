"""The recogniser with a small model that hears ten words in tones (tests.skills.speech_small)."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from bot.core.errors import InputError
from bot.core.speech import Recogniser, Utterance
from skills.speech import SpeechOptions, Whisper
from skills.speech_bias import Path, WordTree, spellings
from skills.speech_guard import Bounds
from skills.speech_partials import Partials
from skills.speech_rules import Rules
from tests.skills.speech_small import RIVAL, WORDS, converted, sound

EXACT = SpeechOptions(precision="float32", context="short", temperatures=(0.0,))
SAID = ("for", "teapot", "with")


@pytest.fixture(scope="module")
def ear(tmp_path_factory: pytest.TempPathFactory) -> Whisper:
    return Whisper(converted(tmp_path_factory.mktemp("small")), EXACT)


def test_words_are_recognised(ear: Whisper) -> None:
    assert isinstance(ear, Recogniser)
    said = [(word, SAID[n % 3]) for n, word in enumerate(WORDS)]
    batch = [Utterance(sound(words, seed=n)[0]) for n, words in enumerate(said)]
    for words, found in zip(said, ear.run(batch), strict=True):
        assert found.text == " ".join(words)
        assert found.language == "en" and found.confidence > 0.7 and found.no_speech < 0.3
        assert found.model == ear.name


def test_each_word_has_its_time(ear: Whisper) -> None:
    samples, spans = sound(SAID, seed=5)
    found = ear.run([Utterance(samples)])[0]
    assert [word.text for word in found.words] == list(SAID)
    for word, (begin, _) in zip(found.words, spans, strict=True):
        assert word.start == pytest.approx(begin, abs=0.25)
        assert word.start < word.end <= len(samples) / 16_000 + 0.02
        assert 0.5 < word.probability <= 1


def test_what_is_heard_does_not_depend_on_the_batch(ear: Whisper) -> None:
    batch = [Utterance(sound(SAID[: n + 1], seed=n)[0]) for n in range(3)]
    together = ear.run(batch)
    for utterance, found in zip(batch, together, strict=True):
        alone = ear.run([utterance])[0]
        assert (alone.text, [word.start for word in alone.words]) == (found.text, [word.start for word in found.words])
        assert alone.confidence == pytest.approx(found.confidence, abs=1e-4)


def test_a_full_window_says_what_a_short_one_says(ear: Whisper) -> None:
    samples = sound(SAID, seed=8)[0]
    full = ear.with_options(replace(EXACT, context="full"))
    assert full.run([Utterance(samples)])[0].text == ear.run([Utterance(samples)])[0].text == " ".join(SAID)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(0, np.float32),
        np.zeros(10, np.float32),
        np.zeros(40_000, np.float32),
        np.random.default_rng(0).normal(0, 0.1, 40_000).astype(np.float32),
        np.linspace(-1, 1, 32_000, dtype=np.float32),
    ],
)
def test_nobody_is_no_words(ear: Whisper, samples: object) -> None:
    found = ear.run([Utterance(samples)])[0]
    assert (found.text, found.words, found.confidence) == ("", (), 0.0)


def test_the_model_itself_hears_that_nobody_speaks(ear: Whisper) -> None:
    open_ear = ear.with_options(replace(EXACT, bounds=Bounds(quiet=-200, even=-1)))
    noise = np.random.default_rng(3).normal(0, 0.02, 30_000).astype(np.float32)
    found = open_ear.run([Utterance(noise)])[0]
    assert found.text == "" and found.no_speech > 0.5


def test_a_long_sound_is_heard_in_windows(ear: Whisper) -> None:
    piece = sound(("the", "and"), seed=0)[0]
    found = ear.run([Utterance(np.tile(np.pad(piece, (0, 32_000 - len(piece))), 4))])[0]
    assert found.text == "the and the and the and the and"
    assert [word.start for word in found.words if word.text == "and"] == pytest.approx(
        [found.words[1].start + 2 * n for n in range(4)], abs=0.3
    )


def test_one_bad_sound_is_told(ear: Whisper) -> None:
    with pytest.raises(InputError, match="no numbers"):
        ear.run([Utterance(np.array([np.nan] * 800, np.float32))])
    with pytest.raises(InputError, match="language"):
        ear.run([Utterance(sound(SAID)[0], language="de")])


def test_a_likely_word_wins_over_one_that_sounds_the_same(ear: Whisper) -> None:
    samples = sound(["the", RIVAL, "and"], seed=2)[0]
    assert ear.run([Utterance(samples)])[0].text == "the kettle and"
    assert ear.run([Utterance(samples, words=(RIVAL,))])[0].text == f"the {RIVAL} and"


def test_likely_words_that_are_not_said_are_not_heard(ear: Whisper) -> None:
    words = ("forest", "teaser", RIVAL, "withal", "48213")
    for seed in range(2):
        samples = sound(SAID, seed=seed)[0]
        plain, likely = ear.run([Utterance(samples), Utterance(samples, words=words)])
        assert plain.text == likely.text
        assert ear.run([Utterance(np.zeros(30_000, np.float32), words=words)])[0].text == ""


def test_a_search_finds_what_one_text_finds_or_better(ear: Whisper) -> None:
    searching = ear.with_options(replace(EXACT, beams=3))
    utterance = Utterance(sound(SAID, seed=4)[0])
    one, several = ear.run([utterance])[0], searching.run([utterance])[0]
    assert one.text == several.text
    assert [word.start for word in one.words] == [word.start for word in several.words]


def test_a_drawn_text_is_the_same_again(ear: Whisper) -> None:
    drawing = ear.with_options(replace(EXACT, temperatures=(1.0,), bounds=Bounds(doubt=-100)))
    batch = [Utterance(sound(SAID, seed=n)[0]) for n in range(2)]
    first = drawing.run(batch)
    assert [found.text for found in first] == [drawing.run([one])[0].text for one in batch]


def test_doubt_is_tried_again_and_then_given_up(ear: Whisper) -> None:
    doubting = ear.with_options(replace(EXACT, context="auto", temperatures=(0.0, 0.5), bounds=Bounds(doubt=0.0)))
    assert doubting.run([Utterance(sound(SAID)[0])])[0].text == ""


def test_partials_settle_while_somebody_speaks(ear: Whisper) -> None:
    samples, partials, seen = sound(("for", "and", "teapot"), seed=6)[0], Partials(every=0.2), []
    for piece in np.array_split(samples, 4):
        partials.add(piece)
        if partials.due():
            seen.append(partials.take(ear.quick.run([partials.utterance()])[0]).settled)
    last = partials.take(ear.run([partials.utterance()])[0])
    assert last.text == "for and teapot"
    assert all(last.text.startswith(settled) for settled in seen)
    assert any(seen)


def test_text_before_is_taken_and_cut_to_what_fits(ear: Whisper) -> None:
    found = ear.run([Utterance(sound(SAID)[0], prompt="the and you " * 100)])[0]
    assert isinstance(found.text, str)


def test_a_branch_earns_and_gives_back(ear: Whisper) -> None:
    tree, tokens = WordTree(["ketley"], ear.tokens, 2.0), ear.tokens.encode(" ketley")
    path = Path()
    for n, token in enumerate(tokens, 1):
        assert tree.boosts(path)[token] == 2.0 * min(n, 4)
        path = tree.step(path, token)
    assert path.credit == 2.0 * min(len(tokens), 4)
    assert tree.step(path, ear.tokens.encode(" the")[0]).credit == path.credit
    assert tree.step(path, ear.tokens.end).credit == path.credit
    assert tree.step(path, ear.tokens.encode("s")[0]).credit == 0
    half = tree.step(Path(), tokens[0])
    assert tree.step(half, ear.tokens.encode(" the")[0]).credit == 0


def test_words_are_looked_for_in_all_their_spellings() -> None:
    assert set(spellings("Earl  Grey")) == {" Earl Grey", " earl grey"}
    assert " b four two" in set(spellings("B42"))
    assert set(spellings("茶壶")) == {"茶壶"}
    assert list(spellings("  ")) == []


def test_times_come_in_pairs(ear: Whisper) -> None:
    rules, times = Rules(ear.tokens, times=True), ear.tokens.times
    flat = np.zeros(ear.files.shape.n_vocab, np.float32)
    first = rules.allow(flat, [])
    assert np.isneginf(first[:times]).all() and np.isfinite(first[times])
    text = rules.allow(flat, [times + 3])
    assert np.isneginf(text[times:]).all()
    closing = rules.allow(flat, [times + 3, 300])
    assert np.isneginf(closing[times : times + 4]).all() and np.isfinite(closing[times + 4])
    assert np.isneginf(rules.allow(flat, [times + 3, 300, times + 5])[: ear.tokens.end]).all()


@pytest.mark.slow
def test_serving_loads_no_torch() -> None:
    code = (
        "import sys, skills.speech, skills.speech_partials; print('torch' in sys.modules or 'whisper' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
