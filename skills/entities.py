"""All entities of a message: the learned head, the author's rules and the built-in types, settled into one list.

    extractor = EntityExtractor(head, rules)
    extractor.run(utterances, encodings)

A text that is an author's example has the entities that were annotated in it, in place of those the head finds.

Order: every extractor reports what it sees; `skills.entities_settle` decides about overlaps; synonyms come last. The
head's spans of a type that is built in get the built-in value only if the built-in type found it too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from bot.core.errors import IntegrityError
from bot.core.events import Entity
from bot.core.protocols import Utterance
from skills.encoder import Encoding
from skills.entities_builtin import BUILT_IN, BuiltIns, Locality
from skills.entities_head import EntityHead
from skills.entities_known import KnownTexts
from skills.entities_rules import Lookups, Patterns, Synonyms
from skills.entities_settle import settle

__all__ = ["BUILT_IN", "EntityExtractor", "EntityRules", "Locality"]

_HEAD, _RULES = "head", "rules.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class EntityRules:
    """What the author gave. `lookups` and `patterns` by entity type; `built_in` are the built-in types in use.

    `synonyms`: wording -> value.
    """

    lookups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    patterns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    synonyms: Mapping[str, str] = field(default_factory=dict)
    built_in: tuple[str, ...] = ()
    where: Locality = field(default_factory=Locality)

    @classmethod
    def of_types(
        cls,
        declared: Sequence[str],
        *,
        lookups: Mapping[str, tuple[str, ...]],
        patterns: Mapping[str, tuple[str, ...]],
        synonyms: Mapping[str, str],
        where: Locality | None = None,
        built_in: Sequence[str] = BUILT_IN,
    ) -> EntityRules:
        """The rules of a project, kept to the entity types that its domain declares; `built_in` are those it wants."""
        return cls(
            {kind: values for kind, values in lookups.items() if kind in declared},
            {kind: values for kind, values in patterns.items() if kind in declared},
            dict(synonyms),
            tuple(kind for kind in BUILT_IN if kind in declared and kind in built_in),
            where or Locality(),
        )


class EntityExtractor:
    """Finds entities. `run` may be called from one thread at a time. `known` may be set after fitting."""

    name = "entities"

    def __init__(self, head: EntityHead | None = None, rules: EntityRules | None = None) -> None:
        self.head = head
        self.rules = rules or EntityRules()
        self.known = KnownTexts({})
        self._lookups = Lookups(self.rules.lookups)
        self._patterns = Patterns(self.rules.patterns)
        self._synonyms = Synonyms(self.rules.synonyms)
        self._built_ins = BuiltIns(self.rules.built_in, self.rules.where)

    @property
    def layers(self) -> tuple[int, ...]:
        """The encoder layers whose states `run` needs."""
        return () if self.head is None else self.head.layers

    def warm_up(self) -> None:
        """Load what the first message of its kind would have to wait for; may be called from any thread."""
        self._built_ins.warm_up()

    def day(self, utterance: Utterance) -> date | None:
        """The day that the entities of a message depend on; None if it has the same whenever it is said."""
        return self._built_ins.day(utterance.text, utterance.now)

    def run(self, utterances: Sequence[Utterance], encodings: Sequence[Encoding]) -> list[tuple[Entity, ...]]:
        """The entities of each message in the order of its text; no two overlap. Offsets are characters of the text.

        `encodings` are of the same texts, with the states of `layers`.

        Raises:
            InputError: the encodings lack a layer.
        """
        texts = [item.text for item in utterances]
        learned = [[] for _ in texts] if self.head is None else self.head.run(texts, encodings)
        known = [self.known.find(text) for text in texts]
        learned = [found if sure is None else sure for sure, found in zip(known, learned, strict=True)]
        return [self._settled([*found, *self._by_rules(item)]) for item, found in zip(utterances, learned, strict=True)]

    def _by_rules(self, utterance: Utterance) -> list[Entity]:
        text = utterance.text
        return [
            *self._patterns.find(text),
            *self._lookups.find(text),
            *self._built_ins.find(text, utterance.now),
        ]

    def _settled(self, found: Sequence[Entity]) -> tuple[Entity, ...]:
        if not found:
            return ()
        return tuple(self._synonyms.apply(entity) for entity in settle(found))

    def save(self, folder: Path) -> None:
        """Write `rules.json`, `head/` if there is a head, and `known.json` if texts are known."""
        folder.mkdir(parents=True, exist_ok=True)
        rules = self.rules
        state = {
            "format": FORMAT,
            "head": self.head is not None,
            "lookups": {kind: list(values) for kind, values in rules.lookups.items()},
            "patterns": {kind: list(values) for kind, values in rules.patterns.items()},
            "synonyms": dict(rules.synonyms),
            "built_in": list(rules.built_in),
            "where": {"language": rules.where.language, "region": rules.where.region, "timezone": rules.where.timezone},
        }
        (folder / _RULES).write_text(json.dumps(state, indent=1, ensure_ascii=False), encoding="utf-8")
        if self.head is not None:
            self.head.save(folder / _HEAD)
        if self.known.table:
            self.known.save(folder)

    @classmethod
    def load(cls, folder: Path, encoder: str | None = None, threads: int = 1) -> EntityExtractor:
        """Read what `save` wrote; `encoder` is the identity of the encoder that it is to be used with.

        Raises:
            IntegrityError: a file is missing, damaged or of another format, or the encoder is another one.
        """
        path = folder / _RULES
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            if state["format"] != FORMAT:
                raise ValueError(f"format {state['format']}")
            rules = EntityRules(
                {kind: tuple(values) for kind, values in state["lookups"].items()},
                {kind: tuple(values) for kind, values in state["patterns"].items()},
                state["synonyms"],
                tuple(state["built_in"]),
                Locality(**state["where"]),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise IntegrityError(str(path), f"expected the entity rules, found {error!r}; train again") from error
        extractor = cls(EntityHead.load(folder / _HEAD, encoder, threads) if state["head"] else None, rules)
        extractor.known = KnownTexts.load(folder)
        return extractor
