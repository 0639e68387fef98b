"""The learned ranking: next actions of stories it does not know, of talks that mix stories, and of recorded talks.

    python -m benchmarks.ranking                # the tables of docs/benchmarks/ranking.md
    python -m benchmarks.ranking stories        # one of stories, mixed, star

`stories`: every story of a project is left out of training once; share of its next actions that the ranking then puts
first. `mixed`: trained on all stories; asked about paths through several of them, nested and cut, that training did not
draw, with wordings that it has not seen; beside it, what remembered stories alone would answer, and a ranking that was
trained on the stories as they stand. `star`: trained on the train dialogues of STAR as stories of texts, no intents;
next action of the agent on dev. Data: UNDERSTUDY_DATA/rasa, UNDERSTUDY_DATA/dialogues, examples/rasa.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bot.core.features import Features
from bot.core.program import Program
from bot.core.protocols import Situation
from bot.core.rules import book, recall
from bot.core.script import LISTEN
from bot.project import load_project
from skills.encoder import MINILM, Encoder, EncoderSettings
from skills.ranking import ActionRanking
from training import metrics
from training.ranking_rows import Cell, Episode, Paths, RankingData, ranking_data
from training.ranking_rows import Path as Way
from training.recipes.ranking import RankingOptions, fit_ranking

DATA = Path(os.environ.get("UNDERSTUDY_DATA", Path(__file__).parents[2] / "shared/data"))
EXAMPLES = Path(__file__).parents[1] / "examples/rasa"
PROJECTS = {
    "moodbot (public)": DATA / "rasa/moodbot",
    "helpdesk (public)": DATA / "rasa/helpdesk",
    "mood (ours)": EXAMPLES / "mood",
    "restaurant (ours)": EXAMPLES / "restaurant",
    "helpdesk (ours)": EXAMPLES / "helpdesk",
}
MIXED = 1000
AS_THEY_STAND = 0.0


def main(names: Sequence[str]) -> int:
    """Measure what is named, or all."""
    encoder = Encoder.load(MINILM, EncoderSettings(recent_bytes=64 << 20))
    for name, measured in {"stories": stories, "mixed": mixed, "star": star}.items():
        if not names or name in names:
            for row in measured(encoder):
                print(name, json.dumps(row), flush=True)
    return 0


def stories(encoder: Encoder) -> Iterator[dict[str, object]]:
    """Leave one story out."""
    for name, (data, _, _) in _projects().items():
        options = RankingOptions(folds=len(data.groups))
        started = time.process_time()
        found = fit_ranking(data, encoder, options).unseen
        right = [one == other for one, other in zip(found.gold, found.given, strict=True)]
        known = [hit for hit, known in zip(right, found.known, strict=True) if known]
        yield {
            "project": name,
            "stories": len(data.groups),
            "states": len(right),
            "accuracy": _share(right),
            "known": _share(known),
            "ece": round(metrics.ece(found.sure, right).value, 3),
            "cpu_s": round(time.process_time() - started, 1),
        }


def mixed(encoder: Encoder) -> Iterator[dict[str, object]]:
    """Paths through several stories."""
    for name, (data, program, held) in _projects().items():
        started = time.process_time()
        model = fit_ranking(data, encoder).model
        seconds = time.process_time() - started
        plain = fit_ranking(replace(data, asides=()), encoder).model
        asked = _asked(data, held)
        yield {
            "project": name,
            "stories": len(data.groups),
            "paths": len(asked),
            "ranking": _share([_best(model, item) == item[1] for item in asked]),
            "without mixing": _share([_best(plain, item) == item[1] for item in asked]),
            "remembered": _share([_remembered(program, item[0]) == item[1] for item in asked]),
            "ms": round(_milliseconds(model, asked), 2),
            "fit_cpu_s": round(seconds, 1),
        }


def _projects() -> dict[str, tuple[RankingData, Program, dict[str, list[str]]]]:
    """What projects teach, their programs, and every third example of each intent, which is kept back."""
    found = {}
    for name, root in PROJECTS.items():
        if not root.is_dir():
            continue
        project = load_project(root)
        by_intent: dict[str, list[str]] = {}
        for example in project.nlu.examples:
            by_intent.setdefault(example.intent, []).append(example.text)
        kept = [(text, intent) for intent, texts in by_intent.items() for n, text in enumerate(texts) if n % 3]
        held = {intent.partition("/")[0]: texts[::3] for intent, texts in by_intent.items()}
        data = ranking_data(project.program, kept)
        if data is not None and len(data.groups) > 1:
            found[name] = (data, project.program, held)
    return found


Asked = tuple[Situation, str]


def _asked(data: RankingData, held: dict[str, list[str]]) -> list[Asked]:
    """Paths made of at least two stories or rules, no two the same."""
    random = np.random.default_rng(1000)
    paths, found = Paths(data, random), dict[tuple[object, ...], Asked]()
    for _ in range(20 * MIXED):
        way = paths.draw()
        if len(way.groups) > 1 and len(found) < MIXED:
            states = tuple(cell.state for cell in way.cells)
            found.setdefault(
                (states, way.cells[-1].action), (_situation(data, way, held, random), way.cells[-1].action)
            )
    return list(found.values())


def _situation(data: RankingData, way: Way, held: dict[str, list[str]], random: np.random.Generator) -> Situation:
    actions = {cell.action for story in data.stories for cell in story.cells}
    texts = []
    for cell in way.cells:
        choices = held.get(cell.state.intent, []) if cell.state.action == LISTEN else []
        texts.append(cell.text or (str(random.choice(choices)) if choices else ""))
    states = tuple(cell.state for cell in way.cells)
    return Situation(states, tuple(texts), tuple(sorted(actions | {way.cells[-1].action})))


def _best(model: ActionRanking, asked: Asked) -> str:
    (ranked,) = model.run([asked[0]])
    return ranked.candidates[0].name if ranked.candidates else ""


def _remembered(program: Program, situation: Situation) -> str:
    script = program.script
    begun = () if not situation.states[0].action else (Features(),)
    found = recall(book(program), (*begun, *situation.states), script.history if script else None)
    return found[0] if found else ""


def _milliseconds(model: ActionRanking, asked: Sequence[Asked]) -> float:
    """Median time of one situation whose texts are known to the encoder."""
    times = []
    for situation, _ in asked[:200]:
        model.run([situation])
        started = time.process_time()
        model.run([situation])
        times.append(1000 * (time.process_time() - started))
    return float(np.median(times))


def star(encoder: Encoder) -> Iterator[dict[str, object]]:
    """Recorded talks, texts only."""
    train, dev = (list(_star(DATA / f"dialogues/star.{part}")) for part in ("train.jsonl.gz", "dev.jsonl"))
    episodes = tuple(Episode(cells, number) for number, cells in enumerate(train))
    started = time.process_time()
    model = fit_ranking(RankingData(episodes, (), {}), encoder).model
    seconds = time.process_time() - started
    rows = [cells[: end + 1] for cells in dev for end, cell in enumerate(cells) if cell.action != LISTEN]
    asked = [
        Situation(tuple(cell.state for cell in row), tuple(cell.text for cell in row), model.actions) for row in rows
    ]
    ranked = [item for start in range(0, len(asked), 64) for item in model.run(asked[start : start + 64])]
    gold = [row[-1].action for row in rows]
    places = [[item.name for item in found.candidates[:3]] for found in ranked]
    yield {
        "train": len(train),
        "dev": len(dev),
        "actions": len(model.actions),
        "states": len(rows),
        "accuracy": _share([names[0] == one for names, one in zip(places, gold, strict=True)]),
        "among three": _share([one in names for names, one in zip(places, gold, strict=True)]),
        "cpu_s": round(seconds),
    }


def _star(path: Path) -> Iterator[tuple[Cell, ...]]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        for line in file:
            cells, last = [Cell(Features(), LISTEN)], LISTEN
            for turn in json.loads(line)["turns"]:
                if turn["speaker"] == "user":
                    if last != LISTEN:
                        cells.append(Cell(Features(action=last), LISTEN))
                    last, text = LISTEN, turn["text"]
                elif turn.get("action"):
                    text = text if last == LISTEN and len(cells) else ""
                    cells.append(Cell(Features(action=last, text=text if last == LISTEN else ""), turn["action"], text))
                    last, text = turn["action"], ""
            if len(cells) > 1:
                yield tuple(cells)


def _share(hits: Sequence[bool]) -> str:
    if not hits:
        return "-"
    found = metrics.share(sum(hits), len(hits))
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
