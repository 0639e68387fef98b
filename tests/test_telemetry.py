from __future__ import annotations

import json

import pytest
import structlog

from bot.core import events as ev
from bot.telemetry import Telemetry, configure_logging
from bot.turns import Timing


def test_stages_of_a_turn_are_observed() -> None:
    telemetry = Telemetry()
    for seconds in (0.002, 0.004):
        telemetry.observe(Timing("private-id", 1, "understand", seconds))
    text = telemetry.render().decode()
    assert 'understudy_turn_stage_duration_seconds_count{stage="understand"} 2.0' in text
    assert "private-id" not in text


def test_turns_are_counted_by_outcome() -> None:
    telemetry = Telemetry()
    for outcome in ("replied", "replied", "failed"):
        telemetry.observe(Timing("c", 1, "turn", 0.02, "rest", outcome))
    text = telemetry.render().decode()
    assert 'understudy_turns_total{outcome="replied"} 2.0' in text
    assert 'understudy_turn_duration_seconds_count{channel="rest",outcome="failed"} 1.0' in text


def test_what_facts_tell_is_counted() -> None:
    telemetry = Telemetry()
    facts: tuple[ev.Event, ...] = (
        ev.Predicted(action="no_answer"), ev.Predicted(action="start_flow"), ev.HandedOff(reason="asked for"),
        ev.ActionRan(action="a", key="k", error="deadline_exceeded"), ev.ActionRan(action="a", key="k"),
    )  # fmt: skip
    telemetry.see([ev.Recorded(conversation="c", seq=n, turn=1, at=0, event=e) for n, e in enumerate(facts, 1)])
    text = telemetry.render().decode()
    assert 'understudy_fallback_total{reason="no_answer"} 1.0' in text
    assert "understudy_handoffs_total 1.0" in text
    assert 'understudy_actions_failed_total{code="deadline_exceeded"} 1.0' in text


def test_watched_figures_are_read_at_each_scrape() -> None:
    telemetry, figures = Telemetry(), {"outbox_pending": 1.0, "sent_total": 3.0}
    telemetry.watch(lambda: figures)
    figures["outbox_pending"] = 2.0
    text = telemetry.render().decode()
    assert "understudy_outbox_pending 2.0" in text
    assert "# TYPE understudy_sent_total counter" in text


def test_two_applications_share_no_metrics() -> None:
    one, two = Telemetry(), Telemetry()
    one.turns.labels("replied").inc()
    assert 'outcome="replied"' not in two.render().decode()


def test_logs_are_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")
    try:
        structlog.get_logger("test").info("happened", number=1)
        structlog.get_logger("test").debug("not shown")
    finally:
        structlog.reset_defaults()
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line).items() >= {"event": "happened", "number": 1, "level": "info"}.items()


def test_failures_are_logged_with_their_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("error")
    try:
        structlog.get_logger("test").error("failed", exc_info=ValueError("why"))
    finally:
        structlog.reset_defaults()
    assert json.loads(capsys.readouterr().err)["exception"][0]["exc_value"] == "why"
