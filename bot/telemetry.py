"""Logs and metrics. Nothing here is global: each application makes its own `Telemetry`.

Metrics follow Prometheus' naming rules (prefix `understudy_`, base units, `_total` counters) and never carry ids or
text as labels. Logs are JSON lines on standard error; by default they hold no user text, because nothing hands it in.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from bot.core.errors import Refused
from bot.core.events import Entity, Event, Recorded
from bot.core.messages import Address, Inbound
from bot.core.protocols import Draft, Gateway, Receipt
from bot.turns import Timing

FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
SLOW = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_FALLBACKS = frozenset(("no_answer", "rephrase", "unsupported_language", "action_default_fallback"))
Stats = Callable[[], Mapping[str, float]]


def configure_logging(level: str = "info", json: bool = True) -> None:
    """Send structured logs to standard error, one JSON object a line, or in colour for a terminal."""
    tail: list[structlog.typing.Processor] = [
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    ]
    if json:
        # Without the values of local variables: those hold what users said, and secrets.
        plain = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        tail = [structlog.processors.ExceptionRenderer(plain), structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *tail,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


class Telemetry:
    """The metrics of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.received = self._counter("messages_received", "Messages offered by channels", ["channel"])
        self.acked = self._counter("messages_acked", "Messages committed and acknowledged", ["channel"])
        self.duplicates = self._counter("duplicates_suppressed", "Resends of a known message", ["channel"])
        self.refused = self._counter("messages_refused", "Messages refused before acknowledgement", ["code"])
        self.turns = self._counter("turns", "Turns by outcome", ["outcome"])
        self.fallbacks = self._counter("fallback", "Turns for which the bot knew no answer", ["reason"])
        self.handoffs = self._counter("handoffs", "Conversations given to a person", [])
        self.actions_failed = self._counter("actions_failed", "Custom actions that failed", ["code"])
        self.requests = self._counter("http_requests", "HTTP requests by route and status", ["route", "status"])
        self.ack_seconds = self._durations("ack_duration_seconds", "From a message to its commit", FAST)
        self.turn_seconds = self._durations(
            "turn_duration_seconds", "From the message to the outcome", SLOW, ["channel", "outcome"]
        )
        self.stage_seconds = self._durations("turn_stage_duration_seconds", "Stages of a turn", FAST, ["stage"])
        self.lag = Gauge("understudy_event_loop_lag_seconds", "How late the event loop woke", registry=self.registry)
        self._turns: dict[str, Counter] = {}
        self._requests: dict[tuple[str, int], Counter] = {}

    def observe(self, timing: Timing) -> None:
        """Note how long a stage of a turn took, or a whole turn; the manager's observer."""
        if timing.stage != "turn":
            self.stage_seconds.observe(timing.seconds, timing.stage)
            return
        self.turn_seconds.observe(timing.seconds, timing.channel, timing.outcome)
        child = self._turns.get(timing.outcome)
        if child is None:
            child = self._turns[timing.outcome] = self.turns.labels(timing.outcome)
        child.inc()

    def see(self, facts: Sequence[Recorded]) -> None:
        """Count what committed facts tell; a watcher of the manager."""
        for recorded in facts:
            event = recorded.event
            if event.kind == "predicted" and event.action in _FALLBACKS:
                self.fallbacks.labels(event.action).inc()
            elif event.kind == "handed_off":
                self.handoffs.inc()
            elif event.kind == "action_ran" and event.error:
                self.actions_failed.labels(event.error).inc()

    def answered(self, route: str, status: int) -> None:
        """Count a request."""
        child = self._requests.get((route, status))
        if child is None:
            child = self._requests[route, status] = self.requests.labels(route, str(status))
        child.inc()

    def watch(self, stats: Stats) -> None:
        """Add figures that are read at each scrape; names ending in `_total` are counters, others gauges."""
        self.registry.register(_Scraped(stats))

    def render(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.registry)

    async def measure_lag(self, every: float = 0.5) -> None:
        """Measure how late the event loop wakes, for ever."""
        while True:
            asked = time.monotonic()
            await asyncio.sleep(every)
            self.lag.set(max(0.0, time.monotonic() - asked - every))

    def _counter(self, name: str, text: str, labels: Sequence[str]) -> Counter:
        return Counter(f"understudy_{name}", text, labels, registry=self.registry)

    def _durations(self, name: str, text: str, bounds: Sequence[float], labels: Sequence[str] = ()) -> _Durations:
        durations = _Durations(f"understudy_{name}", text, bounds, labels)
        self.registry.register(durations)
        return durations


class _Durations(Collector):
    """A histogram that is cheap to feed, from one thread; every turn feeds half a dozen values into some.

    prometheus_client's own walks along the buckets and takes two locks for a value.
    """

    def __init__(self, name: str, text: str, bounds: Sequence[float], labels: Sequence[str]) -> None:
        self._name, self._text, self._bounds, self._labels = name, text, bounds, labels
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def observe(self, seconds: float, *labels: str) -> None:
        """Count a value under these labels."""
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = [0] * (len(self._bounds) + 1)
            self._sums[labels] = 0.0
        counts[bisect_left(self._bounds, seconds)] += 1
        self._sums[labels] += seconds

    def describe(self) -> Iterable[Metric]:
        return [HistogramMetricFamily(self._name, self._text, labels=self._labels)]

    def collect(self) -> Iterable[Metric]:
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        names = [*map(str, self._bounds), "+Inf"]
        for labels, counts in self._counts.items():
            family.add_metric(labels, list(zip(names, accumulate(counts), strict=True)), self._sums[labels])
        yield family


class _Scraped(Collector):
    """Figures that live elsewhere."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        for name, value in self._stats().items():
            family = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            yield family(f"understudy_{name}", name.replace("_", " "), value=value)


class MeteredGateway:
    """A `Gateway` that counts the messages that pass. Turns are told to `Telemetry.observe`."""

    def __init__(self, gateway: Gateway, telemetry: Telemetry) -> None:
        self._gateway, self._telemetry = gateway, telemetry
        self._by_channel: dict[str, tuple[Counter, Counter]] = {}

    async def submit(self, inbound: Inbound) -> Receipt:
        """Commit a message, counted and timed."""
        return await self._counted(inbound.address.channel, self._gateway.submit(inbound))

    async def trigger(self, address: Address, intent: str, entities: Sequence[Entity] = (), name: str = "") -> Receipt:
        """Start a turn from outside, counted and timed as a message."""
        return await self._counted(address.channel, self._gateway.trigger(address, intent, entities, name))

    async def _counted(self, channel: str, taken: Coroutine[Any, Any, Receipt]) -> Receipt:
        seen, begun = self._telemetry, time.perf_counter()
        received, acked = self._counters(channel)
        received.inc()
        try:
            receipt = await taken
        except Refused as error:
            seen.refused.labels(error.code).inc()
            raise
        if receipt.duplicate:
            seen.duplicates.labels(channel).inc()
            return receipt
        acked.inc()
        seen.ack_seconds.observe(time.perf_counter() - begun)
        return receipt

    async def record(self, conversation: str, event: Event) -> Recorded:
        """Append a fact."""
        return await self._gateway.record(conversation, event)

    async def read(self, conversation: str, after: int = 0, limit: int | None = None) -> Sequence[Recorded]:
        """Read stored events."""
        return await self._gateway.read(conversation, after, limit)

    def follow(self, conversation: str, after: int) -> AsyncIterator[Recorded]:
        """Follow events."""
        return self._gateway.follow(conversation, after)

    def follow_drafts(self, conversation: str, after: int) -> AsyncIterator[Recorded | Draft]:
        """Follow events and drafts."""
        return self._gateway.follow_drafts(conversation, after)

    def _counters(self, channel: str) -> tuple[Counter, Counter]:
        """A channel's counters, looked up once: a lookup costs more than a count."""
        found = self._by_channel.get(channel)
        if found is None:
            seen = self._telemetry
            found = self._by_channel[channel] = seen.received.labels(channel), seen.acked.labels(channel)
        return found
