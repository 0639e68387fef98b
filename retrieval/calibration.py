"""Fitting the relevance model to a corpus, at ingest, without anyone labelling anything.

Likenesses mean different things for different encoders and corpora (how alike are documents on other subjects?), so
the corpus itself is the evidence:

* Positives: half of the words of a question, a heading or a first sentence, against the chunk they come from. Half,
  because a customer words it differently. A customer's words meet fewer words of the text than such a half does, so
  the share of words of positives is lowered to `SHARED` of it, measured on FAQ data with real paraphrases.
* Negatives: the same half questions against the best chunk of any *other* document, as if theirs did not exist; and
  questions that no company's documents answer, and keyboard noise, against their best chunk.

The same half questions show whether the encoder can read the corpus at all: if the vectors find their chunks less than
half as well as the words do, it is in a language that the encoder does not know; then words decide the order of hits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from retrieval.corpus import ARROW, Chunk, plain, sentences, size
from retrieval.index import Contents, Embedder
from retrieval.lexical import Floats
from retrieval.relevance import Doubles, Relevance, fit
from retrieval.search import CANDIDATES, Searcher, evidence

SAMPLE = 150
"""Chunks whose words are made into questions."""
SHARED = 0.45
WEIGHT = 20.0
"""What each side of the evidence counts at most, in examples: the data is indirect, so the fit stays soft."""
FULL = 20
"""Half questions needed for the full weight; fewer count less."""
READ = 0.5
"""Mean reciprocal rank by vectors, in parts of that by words, below which the encoder does not read the corpus."""
FOREIGN_TRUST = 0.1
LEAST_HEADING = 3
"""Words that a heading needs to be a question."""

OFF_TOPIC = (
    "What will the weather be like tomorrow?",
    "Who won the football match last night?",
    "Tell me a joke",
    "How tall is the tallest mountain?",
    "What is the capital of Australia?",
    "Play some relaxing music",
    "How do I bake sourdough bread?",
    "What is the meaning of life?",
    "Translate good morning into French",
    "Which stocks should I buy this year?",
    "Who painted that famous ceiling in Rome?",
    "Why is the sky blue?",
    "Recommend a good science fiction novel",
    "How many legs does a spider have?",
    "What time is it in Tokyo?",
    "Can you write a poem about autumn?",
    "How do airplanes stay in the air?",
    "What should I name my new puppy?",
    "When did the dinosaurs die out?",
    "How can I learn to play the guitar?",
    "What is the fastest animal on land?",
    "Is there life on other planets?",
    "Give me a workout plan for beginners",
    "How far away is the moon?",
    "Who invented the telephone?",
    "明天会下雨吗？",
    "给我讲个笑话",
    "世界上最高的山是哪一座？",
    "恐龙是什么时候灭绝的？",
    "asdf jkl qwer",
    "blorp fizzle wub snark",
    "zzyzx qwfp arst",
    "aaaa bbb cccc dd",
    "12 99 4471 08",
    "flim flam grommel tweedle",
    "?!?! ... !!",
    "krzt mlpo wqxn dfg",
)


def fit_relevance(contents: Contents, encoder: Embedder) -> Relevance:
    """The relevance model of a corpus. The one in `contents` is not looked at."""
    searcher = Searcher(replace(contents, relevance=Relevance()))
    sample = pseudo_questions(contents.chunks)
    positives, near, far = list[float](), list[float](), list[float]()
    found = list[tuple[float, float]]()
    for (chunk, text), vector in zip(sample, _vectors([text for _, text in sample], encoder), strict=True):
        ranked = searcher.rank(text, vector, top=2 * CANDIDATES)
        own = np.array([contents.chunks[number].document == chunk.document for number in ranked.chunks], bool)
        if own[:1].any():
            positives.extend(evidence(ranked.dense, ranked.words * np.float32(SHARED))[:1])
        near.extend(ranked.evidence[~own][:1])
        found.append((_reciprocal(ranked.dense, own), _reciprocal(ranked.words, own)))
    for text, vector in zip(OFF_TOPIC, _vectors(OFF_TOPIC, encoder), strict=True):
        far.extend(searcher.rank(text, vector, top=1).evidence)
    fitted = fit(np.array(positives), _even(near, far), WEIGHT * min(1.0, len(positives) / FULL))
    return replace(fitted, trust=_trust(found))


def _trust(found: Sequence[tuple[float, float]]) -> float:
    """What vectors count, from reciprocal ranks by vectors and by words; too few of them show nothing."""
    dense, words = np.mean(found, axis=0) if len(found) >= FULL else (1.0, 1.0)
    return FOREIGN_TRUST if dense < READ * words else 1.0


def _reciprocal(scores: Floats, own: npt.NDArray[np.bool_]) -> float:
    return 1 / (1 + int((scores[~own] > scores[own].max()).sum())) if own.any() else 0.0


def pseudo_questions(chunks: Sequence[Chunk], most: int = SAMPLE) -> list[tuple[Chunk, str]]:
    """Chunks, the same ones whatever their order, each with half of a question that it answers."""
    return [(chunk, half(_question(chunk))) for chunk in sorted(chunks, key=lambda chunk: chunk.id)[:most]]


def half(text: str) -> str:
    """Every other word; of a text without spaces, such as Chinese, the second half."""
    parts = text.split()
    return " ".join(parts[::2]) if len(parts) > 2 else text[len(text) // 2 :]


def _question(chunk: Chunk) -> str:
    if chunk.questions:
        return chunk.questions[0]
    heading = chunk.title.rsplit(ARROW, 1)[-1]
    return heading if size(heading) >= LEAST_HEADING else plain(next(iter(sentences(chunk.text)), heading))


def _vectors(texts: Sequence[str], encoder: Embedder) -> Iterator[Floats]:
    return (np.asarray(encoded.vector, np.float32) for encoded in encoder.run(texts))


def _even(near: Sequence[float], far: Sequence[float]) -> Doubles:
    """Both kinds of negatives in the same number, the rarer ones repeated."""
    most = max(len(near), len(far))
    return np.concatenate([np.resize(scores, most) for scores in (near, far) if scores])
