"""The intent head on a small set of our own: right, unsure where it should be, and the same after reloading."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bot.core.errors import InputError, IntegrityError
from skills.encoder import Encoder
from skills.intent import BUCKETS, Examples, IntentHead, hash_words
from tests.skills.shop_rows import EXAMPLES, ROWS
from training.examples import OOS, IntentExample
from training.recipes.intent import IntentOptions, fit_intent

ASKED = {
    "where's my order": "order_status",
    "hello!": "greet",
    "pls cancel teh order": "cancel_order",
    "give me my money back now": "refund",
    "deliver to a different address": "change_address",
    "i need to speak with a human being": "person",
}
STRANGE = ("what is the capital of peru", "sing a song about penguins", "how tall is the eiffel tower")
GIBBERISH = ("asdf qwer zxcv", "....", "xkcjq wpeoq zmxn", "48213", "?!?!", "x" * 5000, "qpwoei", "vbnm vbnm hjkl")


def test_new_wordings_get_their_intent(head: IntentHead, encoder: Encoder) -> None:
    scores = head.run(list(ASKED), encoder.vectors(list(ASKED)))
    found = [head.intents[n] for n in scores.probabilities.argmax(axis=1)]
    assert found == list(ASKED.values())
    assert (scores.in_scope >= head.threshold).all()


def test_probabilities_rank_all_intents_and_sum_to_one(head: IntentHead, encoder: Encoder) -> None:
    scores = head.run(list(ASKED), encoder.vectors(list(ASKED)))
    assert scores.probabilities.shape == (len(ASKED), len(EXAMPLES))
    assert np.allclose(scores.probabilities.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("text", GIBBERISH)
def test_gibberish_is_never_an_intent(head: IntentHead, encoder: Encoder, text: str) -> None:
    assert head.run([text], encoder.vectors([text])).in_scope[0] < head.threshold


def test_other_subjects_are_out_of_scope_without_any_such_example(head: IntentHead, encoder: Encoder) -> None:
    assert (head.run(STRANGE, encoder.vectors(STRANGE)).in_scope < head.threshold).all()


def test_out_of_scope_rows_are_no_class_and_wordless_rows_are_heard(encoder: Encoder) -> None:
    rows = [*ROWS, *(IntentExample(text, OOS) for text in STRANGE), IntentExample("77", "order_status")]
    head = fit_intent(rows, encoder)
    assert OOS not in head.intents
    assert head.run(["12345"], encoder.vectors(["12345"])).in_scope[0] > 0


def test_the_same_rows_give_the_same_head(head: IntentHead, encoder: Encoder) -> None:
    again = fit_intent(ROWS, encoder)
    vectors = encoder.vectors(list(ASKED))
    assert again.threshold == head.threshold
    assert np.array_equal(again.run(list(ASKED), vectors).in_scope, head.run(list(ASKED), vectors).in_scope)


@pytest.mark.slow
def test_doubtful_rows_pull_less_and_calibrate_nothing(encoder: Encoder) -> None:
    """Wrong labels that are hardly believed do little harm; with full weight they win over what authors wrote."""
    wrong = [IntentExample(row.text, "greet" if row.intent == "refund" else row.intent) for row in ROWS]
    texts = [row.text for row in ROWS if row.intent == "refund"]
    sure = {}
    for weight in (0.1, 1.0):
        rows = [*ROWS, *(IntentExample(f"{row.text} now", row.intent, weight=weight) for row in wrong)]
        head = fit_intent(rows, encoder)
        shares = head.run(texts, encoder.vectors(texts)).probabilities
        sure[weight] = float(shares[:, head.intents.index("refund")].mean())
    assert sure[0.1] > sure[1.0] + 0.1


def test_a_row_that_somebody_vouches_for_counts_in_full(encoder: Encoder, head: IntentHead) -> None:
    doubtful = [IntentExample(row.text, row.intent, weight=0.2) for row in ROWS]
    again = fit_intent([*doubtful, *ROWS, *doubtful], encoder)
    assert again.threshold == head.threshold
    assert np.array_equal(again.weights.matrix, head.weights.matrix)


def test_scores_do_not_depend_on_the_batch(head: IntentHead, encoder: Encoder) -> None:
    vectors = encoder.vectors(list(ASKED))
    together = head.run(list(ASKED), vectors)
    alone = [head.run([text], vectors[n : n + 1]) for n, text in enumerate(ASKED)]
    assert np.allclose(together.in_scope, [one.in_scope[0] for one in alone], atol=1e-5)


@pytest.mark.slow
def test_a_fresh_process_gives_the_same_scores(head: IntentHead, encoder: Encoder, tmp_path: Path) -> None:
    head.save(tmp_path)
    code = (
        "import json, sys; from pathlib import Path; from skills.encoder import Encoder\n"
        "from skills.intent import IntentHead\n"
        "encoder, texts = Encoder.load(), json.loads(sys.argv[2])\n"
        "head = IntentHead.load(Path(sys.argv[1]), encoder.identity)\n"
        "scores = head.run(texts, encoder.vectors(texts))\n"
        "json.dump([scores.probabilities.tolist(), scores.in_scope.tolist(), head.threshold], sys.stdout)"
    )
    command = [sys.executable, "-c", code, str(tmp_path), json.dumps(list(ASKED))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    probabilities, in_scope, threshold = json.loads(done.stdout)
    here = head.run(list(ASKED), encoder.vectors(list(ASKED)))
    assert np.allclose(here.probabilities, probabilities, atol=1e-6)
    assert np.allclose(here.in_scope, in_scope, atol=1e-6)
    assert threshold == head.threshold


def test_damaged_weights_are_refused_by_name(head: IntentHead, tmp_path: Path) -> None:
    head.save(tmp_path)
    (tmp_path / "intent.safetensors").write_bytes(b"nothing")
    with pytest.raises(IntegrityError, match=r"intent\.safetensors"):
        IntentHead.load(tmp_path)


def test_head_of_another_encoder_is_refused(head: IntentHead, tmp_path: Path) -> None:
    head.save(tmp_path)
    with pytest.raises(IntegrityError, match="train again"):
        IntentHead.load(tmp_path, "another encoder")


def test_head_without_a_needed_tensor_is_refused(head: IntentHead, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    head.save(tmp_path)
    save_file({"bias": head.weights.bias}, tmp_path / "intent.safetensors")
    with pytest.raises(IntegrityError, match="train again"):
        IntentHead.load(tmp_path)


def test_no_texts_give_no_scores(head: IntentHead, encoder: Encoder) -> None:
    assert head.run([], encoder.vectors([])).probabilities.shape == (0, len(EXAMPLES))


def test_one_intent_is_not_enough(encoder: Encoder) -> None:
    with pytest.raises(InputError, match="at least 2 intents, found"):
        fit_intent([IntentExample("hi", "greet"), IntentExample("hello", "greet")], encoder)


def test_intent_with_one_example_is_named(encoder: Encoder) -> None:
    with pytest.raises(InputError, match="add some to lonely"):
        fit_intent([*ROWS, IntentExample("the same", "lonely"), IntentExample("the same ", "lonely")], encoder)


def test_two_examples_an_intent_are_enough(encoder: Encoder) -> None:
    small = [IntentExample(text, intent) for intent, texts in EXAMPLES.items() for text in texts[:2]]
    head = fit_intent(small, encoder)
    text = "i want to cancel my order"
    assert head.intents[head.run([text], encoder.vectors([text])).probabilities[0].argmax()] == "cancel_order"


def test_lower_acceptance_makes_a_higher_threshold_and_progress_is_told(head: IntentHead, encoder: Encoder) -> None:
    seen: list[tuple[float, str]] = []
    options = IntentOptions(acceptance=0.7)
    strict = fit_intent(ROWS, encoder, options, lambda share, what: seen.append((share, what)))
    assert strict.threshold > head.threshold
    assert [share for share, _ in seen] == sorted(share for share, _ in seen)
    assert (seen[0][1], seen[-1]) == ("encoding", (1.0, "fitting"))


def test_word_features_see_numbers_by_length_and_chinese_by_character() -> None:
    words = hash_words(["order 48213", "order 51112", "订单在哪", ""])
    first, second, chinese, nothing = (words.buckets[words.starts[n] : words.starts[n + 1]].tolist() for n in range(4))
    assert first == second
    assert len(chinese) == 7
    assert nothing == []
    assert max(first + chinese) < BUCKETS


def known(head: IntentHead, *rows: tuple[str, str]) -> IntentHead:
    """The same head, which knows some examples."""
    again = IntentHead(head.intents, head.weights, head.blend, head.encoder)
    numbers = {intent: n for n, intent in enumerate(head.intents)} | {OOS: -1}
    again.examples = Examples.of([text for text, _ in rows], [numbers[intent] for _, intent in rows])
    return again


def test_an_example_has_its_intent_whatever_the_scores_say(head: IntentHead, encoder: Encoder) -> None:
    odd = known(head, ("sing a song about penguins", "refund"), ("Hello!", OOS))
    vectors = encoder.vectors(["Sing a song  about PENGUINS!", "hello"])
    scores = odd.run(["Sing a song  about PENGUINS!", "hello"], vectors)
    assert head.intents[scores.probabilities[0].argmax()] == "refund"
    assert scores.probabilities[0].max() == pytest.approx(0.99)
    assert scores.probabilities[0].sum() == pytest.approx(1)
    assert scores.in_scope[0] > 0.9
    assert scores.in_scope[1] == 0


def test_examples_say_nothing_about_other_texts(head: IntentHead, encoder: Encoder) -> None:
    odd, vectors = known(head, ("sing a song about penguins", "refund")), encoder.vectors(list(ASKED))
    assert np.array_equal(odd.run(list(ASKED), vectors).in_scope, head.run(list(ASKED), vectors).in_scope)


def test_texts_with_two_intents_are_not_known() -> None:
    examples = Examples.of(["yes thanks", "Yes, thanks!", "no", "no", "!!", ":-)"], [0, 1, 2, 2, 3, 4])
    assert [examples.find(text) for text in ("yes thanks", "No.", "!!", ":-)", "maybe")] == [None, 2, 3, 4, None]


def test_examples_are_saved_as_digests_only(head: IntentHead, encoder: Encoder, tmp_path: Path) -> None:
    odd = known(head, ("sing a song about penguins", "refund"))
    odd.save(tmp_path)
    assert all(b"penguins" not in path.read_bytes() for path in tmp_path.iterdir())
    vectors = encoder.vectors(["sing a song about penguins"])
    again = IntentHead.load(tmp_path).run(["sing a song about penguins"], vectors)
    assert head.intents[again.probabilities[0].argmax()] == "refund"
