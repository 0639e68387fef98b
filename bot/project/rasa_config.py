"""What a Rasa `config.yml` asks for, in terms of ours.

Nothing in it has to be kept: one encoder with its heads does the work of the pipeline, flows that of the policies. The
language is taken over; a component that has no counterpart is named, once.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from bot.core.errors import ProjectError
from bot.hints import listed
from bot.project.fields import Fields
from bot.project.problems import Problems
from bot.yaml import Node, describe, read_yaml

_ENCODER = "the shared sentence encoder"
_INTENT = "the intent head"
_ENTITIES = "the entity head"
_RULES = "entity rules, regular expressions and lookup tables"
_FLOWS = "flows"

COMPONENTS: dict[str, str] = {
    "WhitespaceTokenizer": _ENCODER,
    "JiebaTokenizer": _ENCODER,
    "MitieTokenizer": _ENCODER,
    "SpacyTokenizer": _ENCODER,
    "MitieNLP": _ENCODER,
    "SpacyNLP": _ENCODER,
    "MitieFeaturizer": _ENCODER,
    "SpacyFeaturizer": _ENCODER,
    "ConveRTFeaturizer": _ENCODER,
    "LanguageModelFeaturizer": _ENCODER,
    "RegexFeaturizer": _RULES,
    "CountVectorsFeaturizer": _ENCODER,
    "LexicalSyntacticFeaturizer": _ENCODER,
    "DIETClassifier": f"{_INTENT} and {_ENTITIES}",
    "MitieIntentClassifier": _INTENT,
    "LogisticRegressionClassifier": _INTENT,
    "SklearnIntentClassifier": _INTENT,
    "KeywordIntentClassifier": _INTENT,
    "FallbackClassifier": "the out-of-scope score",
    "MitieEntityExtractor": _ENTITIES,
    "SpacyEntityExtractor": _ENTITIES,
    "CRFEntityExtractor": _ENTITIES,
    "DucklingEntityExtractor": _RULES,
    "DucklingHTTPExtractor": _RULES,
    "RegexEntityExtractor": _RULES,
    "EntitySynonymMapper": "synonyms",
    "ResponseSelector": "retrieval intents",
    "TEDPolicy": _FLOWS,
    "UnexpecTEDIntentPolicy": _FLOWS,
    "MemoizationPolicy": _FLOWS,
    "AugmentedMemoizationPolicy": _FLOWS,
    "RulePolicy": _FLOWS,
    "FlowPolicy": _FLOWS,
}
"""Rasa's components and what does their work here."""

_KNOWN = ("recipe", "version", "assistant_id", "spaces", "importers", "system_entities", "core_target", "nlu_target")


def read_rasa_config(root: Path, problems: Problems) -> dict[str, JsonValue]:
    """Defaults for our settings from `config.yml`, if there is one."""
    name = next((name for name in ("config.yml", "config.yaml") if (root / name).is_file()), "")
    if not name:
        return {}
    try:
        node = read_yaml(root / name, name)
    except ProjectError as error:
        problems.errors.append(error)
        return {}
    if node.value is None:
        return {}
    with Fields(node, problems, "config.yml") as fields:
        fields.known(*_KNOWN)
        language = fields.text("language")
        components = [*fields.items("pipeline"), *fields.items("policies")]
    unknown = {_component(item, problems): item.where for item in components}
    missing = {name: where for name, where in unknown.items() if name and name not in COMPONENTS}
    if missing:
        problems.warn(f"no counterpart for {listed(missing)}; left out", next(iter(missing.values())))
    return {"languages": [language.split("_")[0].lower()]} if language else {}


def _component(node: Node, problems: Problems) -> str:
    """The bare name of a component; `rasa.nlu...WhitespaceTokenizer` counts as `WhitespaceTokenizer`."""
    name = node.map["name"].value if "name" in node.map else node.value
    if not isinstance(name, str):
        problems.error(f"expected a component such as `- name: DIETClassifier`, found {describe(node)}", node.where)
        return ""
    return name.rsplit(".", 1)[-1] if name.startswith("rasa.") else name
