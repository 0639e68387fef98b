"""Verbs that teach: ingest, train, eval."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.output import Advance, as_json, console, is_project, progress, project_folder, table
from bot.core.errors import InputError, NotFound

if TYPE_CHECKING:
    from bot.config import Settings
    from skills.encoder import Encoder
    from training.train import TrainRequest, TrainResult

Dir = Annotated[Path, typer.Argument(help="The project folder.", show_default="the current folder")]
Project = Annotated[Path, typer.Option("--project", "-p", help="The project folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
HERE = Path()
GENERATOR = "generator"


class Method(StrEnum):
    """How the entity head is trained."""

    FROZEN = "frozen"
    LATE = "late"


class IntentMethod(StrEnum):
    """How the intent head is trained."""

    AUTO = "auto"
    FROZEN = "frozen"
    FEW_SHOT = "few-shot"
    LATE_BRANCH = "late-branch"
    LORA = "lora"
    FULL = "full"


class Evaluated(StrEnum):
    """What can be evaluated."""

    INTENT = "intent"
    ENTITIES = "entities"
    RETRIEVAL = "retrieval"


def ingest(
    paths: Annotated[list[Path] | None, typer.Argument(help="Files and folders; by default those of bot.yml.")] = None,
    project: Project = HERE,
    json: Json = False,
) -> None:
    """Read documents into the knowledge index: Markdown, text, HTML, PDF, DOCX, CSV and JSONL question-answer pairs."""
    from bot.app import index_folder, load_encoder
    from bot.project import load_project
    from retrieval.ingest import ingest as build

    root = project_folder(project)
    loaded = load_project(root)
    wanted = paths or list(loaded.knowledge)
    if not wanted:
        raise InputError("no documents named; give paths, or list them under `knowledge:` in bot.yml")
    with progress(json) as advance:
        result = build(
            wanted,
            index_folder(loaded.settings, root),
            load_encoder(loaded.settings, root),
            lambda stage, done, total: advance(f"documents: {stage}", done / max(total, 1)),
        )
    if json:
        as_json(result)
        return
    console.print(
        f"{result.documents} documents in {result.chunks} passages; {result.skipped} files unchanged. "
        f"Index {result.index}"
    )
    for fault in result.errors:
        console.print(f"  left out: {fault}", style="yellow", markup=False)
    for name in result.ignored:
        console.print(f"  not a document: {name}", style="dim", markup=False)


def train(
    directory: Dir = HERE,
    skill: Annotated[
        str, typer.Option(help="Only this skill: intent, entities, ranking or generator. The others are taken over.")
    ] = "",
    data: Annotated[
        list[str] | None, typer.Option(help="More examples: intents=FILE.jsonl or slots=FILE.jsonl; may be repeated.")
    ] = None,
    entities: Annotated[
        Method, typer.Option(help="frozen: seconds; late: minutes, better, and a dearer turn.")
    ] = Method.FROZEN,
    method: Annotated[
        IntentMethod | None,
        typer.Option(help="How intents are learned; see docs/training.md.", show_default="training.method of bot.yml"),
    ] = None,
    tensorboard: Annotated[
        Path | None, typer.Option(help="Write the curves of methods that tune layers into this folder.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bundle.")] = 0,
    waive: Annotated[
        list[str] | None, typer.Option(help="A check of the gate, or a critical intent, that you answer for yourself.")
    ] = None,
    patch: Annotated[bool, typer.Option("--patch", help="A small repair: half as many messages may change.")] = False,
    improve: Annotated[
        bool, typer.Option("--improve", help="No worse is not enough: something must be better.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Do not put the result to use, whatever the verdict.")] = False,
    json: Json = False,
) -> None:
    """Train from the project's examples, the reviewed log and data files; put the result to use if it is proven."""
    from training.standard import StandardWorkshop
    from training.train import train_project
    from training.workshop import FitOptions

    request, settings = _train_request(directory, data or [], skill, not keep)
    fit = FitOptions(
        seed=seed,
        entities=entities.value,
        intent=settings.training.method if method is None else method.value,
        tensorboard=str(tensorboard or ""),
    )
    request = replace(request, fit=fit)
    with progress(json) as advance:
        from bot.app import load_encoder
        from bot.cli.proving import player, policy

        encoder = load_encoder(settings, directory)
        demands = policy(request.sources.project, settings, waive or (), patch=patch, improve=improve)
        request = replace(request, policy=demands, play=player(request.sources.project, encoder))
        request = _with_encoder(request, encoder, speaks=skill in ("", GENERATOR))
        result = train_project(request, StandardWorkshop(encoder), lambda share, what: advance("training", share))
    if json:
        as_json(
            {"bundle": result.bundle.id, "promoted": result.promoted, "verdict": result.verdict, **_figures(result)}
        )
    else:
        _show_training(result)
    raise typer.Exit(0 if result.promoted or keep else 1)


def _with_encoder(request: TrainRequest, encoder: Encoder, *, speaks: bool) -> TrainRequest:
    from bot.cli.speaking import speaker

    speaking = speaker(request.sources.project, encoder, request.split) if speaks else None
    return replace(request, sources=replace(request.sources, vectors=encoder.vectors), speaking=speaking)


def _train_request(root: Path, data: list[str], skill: str, promote: bool) -> tuple[TrainRequest, Settings]:
    from bot.app import model_store
    from bot.config import load_settings
    from bot.project import load_project
    from training.gather import Sources
    from training.labels import RULES_FILE, RuleBook
    from training.replay import Replay
    from training.runs import Runs
    from training.train import SKILLS, TrainRequest

    known = (*SKILLS, GENERATOR)
    if skill and skill not in known:
        raise InputError(f"--skill is one of {', '.join(known)}; found {skill!r}")
    files = _data_files(data)
    project = load_project(project_folder(root)) if is_project(root) or not data else None
    settings = project.settings if project else load_settings(root)
    log = settings.log_file(root)
    sources = Sources(
        project,
        log if log.exists() else None,
        tuple(files["intents"]),
        tuple(files["slots"]),
        book=RuleBook.load(settings.state_folder(root) / RULES_FILE),
        replay=Replay(settings.state_folder(root), settings.learning.replay_per_intent),
    )
    return TrainRequest(
        models=model_store(settings, root).root,
        sources=sources,
        skills=(skill,) if skill else SKILLS,
        promote=promote,
        reports=settings.state_folder(root) / "reports",
        runs=Runs(settings.state_folder(root) / "runs"),
    ), settings


def _data_files(data: list[str]) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {"intents": [], "slots": []}
    for item in data:
        kind, _, name = item.partition("=")
        if kind not in files or not name:
            raise InputError(f"--data takes intents=FILE or slots=FILE; found {item!r}")
        files[kind].append(Path(name))
    return files


def _figures(result: TrainResult) -> dict[str, Any]:
    skills = result.bundle.manifest.skills
    return {
        "bundle": result.bundle.id,
        "promoted": result.promoted,
        "verdict": result.verdict,
        "metrics": {name: card.metrics for name, card in skills.items()},
        "trained_on": result.trained_on,
        "held_out": result.held_out,
        "notes": result.notes,
        "page": result.page,
        "seconds": round(result.seconds, 1),
    }


def _show_training(result: TrainResult) -> None:
    for note in result.notes:
        console.print(f"note: {note}", style="yellow", markup=False)
    rows = [
        (skill, name, figure.value, f"{figure.low:.3f} - {figure.high:.3f}", figure.n)
        for skill, card in result.bundle.manifest.skills.items()
        for name, figure in card.metrics.items()
    ]
    if rows:
        table("On examples held out of training", ["skill", "measure", "value", "95 % interval", "rows"], rows)
    for reason in result.verdict.reasons:
        console.print(f"verdict: {reason}", markup=False)
    if result.page is not None:
        console.print(f"What changes, and for whom: {result.page}", markup=False)
    trained = ", ".join(f"{count} for {skill}" for skill, count in result.trained_on.items() if count)
    console.print(f"Trained on {trained or 'rules alone'} in {result.seconds:.1f} s. Bundle {result.bundle.id}")
    if result.promoted:
        console.print("It is in use now. Next: bot chat", style="green")
    else:
        console.print("It is not in use; the bundle before it stays.", style="yellow")


def evaluate(
    skill: Annotated[Evaluated, typer.Argument(help="What to evaluate.")],
    data: Annotated[Path, typer.Option(help="JSONL rows with the right answers.")],
    project: Project = HERE,
    bundle: Annotated[str, typer.Option(help="A bundle's id; by default the one in use.")] = "",
    report: Annotated[Path | None, typer.Option(help="Where to write the HTML report.")] = None,
    json: Json = False,
) -> None:
    """Measure a skill on rows with known answers: figures with 95 % intervals and a report with the worst errors."""
    from bot.config import load_settings
    from training.elsewhere import write
    from training.report import render

    settings = load_settings(project)
    with progress(json) as advance:
        found = _evaluated(skill, data, project, settings, bundle, advance)
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    target = report or settings.state_folder(project) / "reports" / f"{skill.value}-{stamp}.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    write(settings.state_folder(project), target, render(found))
    if json:
        as_json({**found, "report": str(target)})
        return
    rows = [
        (name, figure["value"], f"{figure['low']:.3f} - {figure['high']:.3f}", int(figure["n"]))
        for name, figure in found["metrics"].items()
    ]
    table(f"{skill.value} on {data.name}", ["measure", "value", "95 % interval", "rows"], rows)
    console.print(f"Report: {target}", markup=False)


def _evaluated(
    skill: Evaluated, data: Path, root: Path, settings: Settings, bundle: str, advance: Advance
) -> dict[str, Any]:
    from bot.app import index_folder, load_encoder, model_store
    from bot.project import load_project
    from retrieval.search import KnowledgeIndex
    from skills.understanding import Understander
    from training import data as rows
    from training import evaluate as judge

    def told(share: float, what: str) -> None:
        advance("evaluating", share)

    encoder = load_encoder(settings, root)
    if skill is Evaluated.RETRIEVAL:
        index = KnowledgeIndex.open(index_folder(settings, root), encoder)
        return judge.evaluate_retrieval(index, rows.read_queries(data), told)
    store = model_store(settings, root)
    opened = store.open(bundle) if bundle else store.open_current()
    if opened is None:
        raise NotFound(f"no trained models in {store.root}; run: bot train {root}")
    program = load_project(root).program if is_project(root) else None
    understander = Understander.load(opened.path, encoder, program, opened.id)
    if skill is Evaluated.INTENT:
        return judge.evaluate_intent(understander, rows.read_intents(data), told)
    return judge.evaluate_entities(understander, rows.read_slots(data), told)


def add(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(ingest)
    app.command()(train)
    app.command("eval")(evaluate)
