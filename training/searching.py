"""The skill "retrieval" of a bundle: a query projection, kept only where it is proven.

A projection that is not surely better than the search it would replace is not worth having: then the bundle keeps what
the one in use has, a projection or none. Its gain is measured on questions that are held out; what no page answers
must be refused as often as before.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bot.manifest import SkillCard
from retrieval.index import Embedder
from retrieval.projection import SKILL, QueryProjection, owner_of
from retrieval.search import KnowledgeIndex
from training.data import data_set
from training.gate.compare import compare
from training.gate.measured import Judged, measured_scores
from training.gate.sentences import comparison_sentence
from training.gate.verdict import Comparison
from training.pages import Pages, as_example, judged, refused
from training.progress import Progress, silent
from training.recipes.projection import FittedProjection, ProjectionOptions, fit_projection
from training.workshop import Made

METRIC = "mrr"
_MORE_ACCEPTED = 0.02
"""How much more of what no page answers may find an answer."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a projection: `made` if it is in the bundle, and why or why not in a sentence."""

    made: Made | None
    told: str
    comparison: Comparison | None = None


@dataclass(frozen=True, slots=True)
class Searching:
    """An index, the encoder of its vectors, and what the log says of its pages."""

    index: KnowledgeIndex
    embedder: Embedder
    pages: Pages

    def judged(self, bundle: Path | None) -> Sequence[Judged]:
        """The held-out questions, searched with the projection of a bundle's folder if there is one."""
        return judged(self._with(bundle), self.pages.asked)

    def fit(self, stage: Path, current: Path | None, seed: int, progress: Progress = silent) -> Tried:
        """Fit a projection into the bundle that is being made, if it is better; else take over what is in use."""
        if not self.pages.enough:
            self._keep(stage, current)
            few = f"{len(self.pages.pairs)} questions with known pages are too few to learn from"
            return Tried(None, f"pages are searched as before: {few}")
        options = ProjectionOptions(seed=seed)
        fitted = fit_projection(self.pages.pairs, self.index.contents, self.embedder, options, progress)
        return self._decided(fitted, options, stage, current)

    def card(self, base: str, made: Made) -> SkillCard:
        """For the manifest."""
        asked = [as_example(row) for row in self.pages.asked]
        return SkillCard(
            base=base,
            method=made.method,
            data=(self.pages.described(),),
            held_out=data_set("held out", asked),
            hyper_parameters=dict(made.hyper_parameters),
            note="questions turn towards the passages that answered them; documents stay as they are",
        )

    def _decided(
        self, fitted: FittedProjection, options: ProjectionOptions, stage: Path, current: Path | None
    ) -> Tried:
        turned, before = self.index.projected(fitted.projection), self._with(current)
        sides = [measured_scores(SKILL, METRIC, judged(one, self.pages.asked)) for one in (turned, before)]
        found = compare(sides[0], sides[1])
        strange = refused(before, self.pages.strange) - refused(turned, self.pages.strange)
        told = comparison_sentence(found)
        if found.finding != "better" or strange > _MORE_ACCEPTED:
            why = f"it would answer {strange:.1%} more of what no page answers" if strange > _MORE_ACCEPTED else told
            self._keep(stage, current)
            return Tried(None, f"pages are searched as before: {why}", found)
        fitted.projection.save(stage / SKILL)
        figures = {"share": fitted.share, "pairs": fitted.pairs, "left_out": fitted.left_out}
        return Tried(Made("query projection", (), {**asdict(options), **figures}), told, found)

    def _with(self, bundle: Path | None) -> KnowledgeIndex:
        return self.index.projected(load_projection(bundle, self.embedder))

    @staticmethod
    def _keep(stage: Path, current: Path | None) -> None:
        if current is not None and (current / SKILL).is_dir():
            shutil.copytree(current / SKILL, stage / SKILL)


def load_projection(bundle: Path | None, embedder: Embedder) -> QueryProjection | None:
    """The projection in a bundle's folder, if there is one for this encoder."""
    if bundle is None or not (bundle / SKILL).is_dir():
        return None
    return QueryProjection.load(bundle / SKILL, owner_of(embedder.fingerprint))
