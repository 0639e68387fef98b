"""The workshop of a real bot: the shared encoder, the recipes, and the composite that serves customers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from skills.encoder import Encoder
from skills.entities import BUILT_IN, EntityExtractor, EntityRules, Locality
from skills.entities_known import KnownTexts
from skills.intent import NO_EXAMPLES, Examples, IntentHead
from skills.ranking import ActionRanking
from skills.understanding import ENTITIES, INTENT, Understander
from training.evaluate import ranking_report
from training.examples import OOS, IntentExample, SlotExample
from training.gate.measured import Judged
from training.gate.verdict import Integrity
from training.progress import Progress
from training.ranking_log import judged_choices
from training.ranking_rows import Choice, RankingData
from training.recipes.entities import EntityOptions, fit_entities, slot_kinds, slot_spans
from training.recipes.intent import IntentOptions, chosen_method, fit_intent, tune_options
from training.recipes.ranking import RankingOptions, fit_ranking
from training.reopen import described
from training.reproduce import Loader, Prediction, reproduce
from training.workshop import FitOptions, Made, Rows

if TYPE_CHECKING:
    from bot.project import Project


class StandardWorkshop:
    """A `Workshop` on a loaded encoder."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.base = encoder.files.source.name
        self.fingerprint = encoder.identity

    def make(
        self, skill: str, folder: Path, rows: Rows, project: Project | None, options: FitOptions, progress: Progress
    ) -> Made:
        """See `Workshop`."""
        if skill == "intent":
            return self._intent(folder, [row for row in rows if isinstance(row, IntentExample)], options, progress)
        return self._entities(folder, [row for row in rows if isinstance(row, SlotExample)], project, options, progress)

    def rank(self, folder: Path, data: RankingData, options: FitOptions, progress: Progress) -> Made:
        """See `Workshop`."""
        chosen = RankingOptions(seed=options.seed)
        fitted = fit_ranking(data, self.encoder, chosen, progress)
        fitted.model.save(folder)
        saved = ActionRanking.load(folder, self.encoder)
        report = ranking_report(fitted.unseen, data.described()) if fitted.unseen.gold else None
        return Made("attention", saved.actions, asdict(chosen), report)

    def chosen(self, folder: Path, choices: Sequence[Choice]) -> Sequence[Judged]:
        """See `Workshop`."""
        ranking = ActionRanking.load(folder / ActionRanking.name, self.encoder)
        return judged_choices(ranking, choices)

    def load(self, folder: Path) -> Understander:
        """See `Workshop`. Known examples are left out: rows that are held out now may be known to an older bundle."""
        found = Understander.load(folder, self.encoder)
        if found.intent is not None:
            found.intent.examples = NO_EXAMPLES
        if isinstance(found.entities, EntityExtractor):
            found.entities.known = KnownTexts({})
        return found

    def finish(
        self, folder: Path, examples: Sequence[IntentExample], slots: Sequence[SlotExample] = ()
    ) -> Understander:
        """See `Workshop`."""
        if examples:
            head = IntentHead.load(folder / INTENT)
            numbers = {intent: number for number, intent in enumerate(head.intents)} | {OOS: -1}
            known = [row for row in examples if row.intent in numbers and row.weight >= 1]
            head.examples = Examples.of([row.text for row in known], [numbers[row.intent] for row in known])
            head.save(folder / INTENT)
        if slots and slot_kinds(slots):
            KnownTexts.of((row.text, slot_spans(row)) for row in slots).save(folder / ENTITIES)
        return Understander.load(folder, self.encoder)

    def reproduce(self, folder: Path, texts: Sequence[str], expected: Sequence[Prediction]) -> Integrity:
        """See `Workshop`."""
        return reproduce(folder, Loader("training.reopen:open_bundle", described(self.encoder)), texts, expected)

    def _intent(self, folder: Path, rows: Sequence[IntentExample], options: FitOptions, progress: Progress) -> Made:
        method = chosen_method(rows, options.intent)
        chosen = IntentOptions(method=method, seed=options.seed, tensorboard=options.tensorboard)
        head = fit_intent(rows, self.encoder, chosen, progress)
        head.save(folder)
        tuning = tune_options(chosen, self.encoder)
        facts = asdict(replace(chosen, tensorboard=""))
        if tuning is not None:
            facts["tuning"] = asdict(replace(tuning, tensorboard=""))
        return Made(method, head.intents, facts)

    def _entities(
        self,
        folder: Path,
        rows: Sequence[SlotExample],
        project: Project | None,
        options: FitOptions,
        progress: Progress,
    ) -> Made:
        """A head where examples are annotated; the author's rules and the built-in types in any case."""
        chosen = EntityOptions(method=options.entities, seed=options.seed)
        kinds = slot_kinds(rows)
        head = fit_entities(rows, self.encoder, chosen, progress) if kinds else None
        EntityExtractor(head, _rules(project)).save(folder)
        return Made(options.entities, kinds, asdict(chosen)) if head else Made("rules", ())


def _rules(project: Project | None) -> EntityRules:
    if project is None:
        return EntityRules()
    nlu = project.nlu
    return EntityRules.of_types(
        tuple(project.program.entities),
        lookups=nlu.lookups,
        patterns=nlu.regexes,
        synonyms=nlu.synonyms,
        where=Locality(language=project.settings.languages[0]),
        built_in=BUILT_IN if project.built_in is None else project.built_in,
    )
