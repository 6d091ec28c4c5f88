"""Traces of runs, by OpenTelemetry: `pip install 'lambda-durable[otel]'`, and the exporter of your choice.

A run's spans are made in many invocations, each of which may be the last of its process. So ids follow from what is
the same in all of them: a span's parent need not be there when it is made, and a span that is made again is the same.
A span is made where its end is known: a step's by the invocation that called its function, those of sleeps, waits and
groups when what they lie in ends, and the run's own at its end.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from functools import cached_property
from threading import Thread
from time import perf_counter_ns
from typing import Final

from .durations import Duration, parse_duration
from .engine import paths
from .errors import ConfigurationError, ErrorInfo
from .middleware import EndedStep, HandlerReplay, Middleware, RunInfo, StepAttempt

try:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import Tracer, TracerProvider
except ModuleNotFoundError:
    raise ConfigurationError(
        "tracing needs OpenTelemetry: pip install 'lambda-durable[otel]', and an exporter, say "
        "opentelemetry-exporter-otlp-proto-http"
    ) from None

from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

__all__ = ["OpenTelemetry", "current_trace"]

logger = logging.getLogger(__name__)

_W3C: Final = TraceContextTextMapPropagator()
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_MICROSECOND: Final = timedelta(microseconds=1)
_KINDS: Final = {"send_event": SpanKind.PRODUCER, "invoke": SpanKind.PRODUCER}

_CALLED: Final = {"run", "poll", "transact", "send_signal", "send_event", "undo"}
"""Kinds of steps whose attempts are spans. Of the others the whole is one, from its beginning to its end."""


def current_trace() -> dict[str, str]:
    """The trace in which this is called, for what is sent by a client that does not know the app: `Event(name, data,
    carried=current_trace())`. Empty where there is none."""
    carried: dict[str, str] = {}
    _W3C.inject(carried)
    return carried


class OpenTelemetry(Middleware):
    """Makes a trace of each run, or a part of the trace of who sent its event, started it or invoked it.

    `provider` is a TracerProvider of OpenTelemetry's SDK, which has the exporter; without one it is the global one. At
    the end of an invocation its spans are sent, for which it waits as long as `flush`, or a third of its time that is
    left. With `details` errors are told whole, otherwise their types alone: a message may hold what is in an event.
    Raises ConfigurationError for another kind of provider.
    """

    name = "opentelemetry"

    def __init__(
        self, provider: TracerProvider | None = None, *, flush: Duration = "2s", details: bool = True
    ) -> None:
        if provider is not None:
            _check_provider(provider)
        self._given = provider
        self._flush = parse_duration(flush, "OpenTelemetry(flush=)").total_seconds()
        self._details = details
        self._flushing: Thread | None = None

    # -- what is put around ---------------------------------------------------------------------------

    @contextmanager
    def around_handler(self, replay: HandlerReplay) -> Iterator[None]:
        """The current span of a handler is its run's: nothing that it replays makes a span of ours."""
        with trace.use_span(NonRecordingSpan(self._root(replay.run))):
            yield

    @contextmanager
    def around_step(self, step: StepAttempt) -> Iterator[None]:
        """The current span of a step's function is its attempt's, so that what it calls lies below."""
        began, counter = _nanoseconds(step.began_at), perf_counter_ns()
        span = self._step(step.run, step, step.calls, {"lambda_durable.attempt": step.attempt})
        with trace.use_span(span, record_exception=False, set_status_on_exception=False):
            try:
                yield
            finally:
                error = ErrorInfo.of(step.error) if step.error is not None else None
                self._end(span, error, began + perf_counter_ns() - counter)

    # -- what has ended -------------------------------------------------------------------------------

    def steps_ended(self, run: RunInfo, steps: Sequence[EndedStep]) -> None:
        for step in steps:
            if step.kind not in _CALLED:
                span = self._step(run, step, 0, {"lambda_durable.status": step.status})
                self._end(span, step.error, _nanoseconds(step.ended_at))

    def run_ended(self, run: RunInfo, status: str, error: ErrorInfo | None) -> None:
        root = self._root(run)
        _next.set((root.trace_id, root.span_id))
        span = self._tracer.start_span(
            run.function_id,
            _W3C.extract(run.carried, Context()),
            SpanKind.CONSUMER,
            _of_run(run) | {"lambda_durable.status": status, "lambda_durable.labels": run.labels},
            start_time=_nanoseconds(run.created_at),
        )
        self._end(span, error, _nanoseconds(run.ended_at or run.created_at))

    def invocation_ended(self, seconds: float) -> None:
        if self._flushing is None or not self._flushing.is_alive():
            self._flushing = Thread(
                target=self._provider.force_flush, name="lambda-durable-spans", daemon=True
            )
            self._flushing.start()
        patience = min(self._flush, seconds / 3)
        self._flushing.join(patience)
        if self._flushing.is_alive():
            logger.warning(
                "spans were not exported within %.1f seconds: they go with a later invocation, if the process has one",
                patience,
            )

    def carry(self, run: RunInfo | None, step_key: str | None) -> Mapping[str, str]:
        if run is None:
            return current_trace()
        root, carried = self._root(run), dict[str, str]()
        span_id = root.span_id if step_key is None else _span_id(run, step_key)
        sender = SpanContext(root.trace_id, span_id, True, root.trace_flags, root.trace_state)
        _W3C.inject(carried, trace.set_span_in_context(NonRecordingSpan(sender), Context()))
        return carried

    # -- spans ----------------------------------------------------------------------------------------

    @cached_property
    def _provider(self) -> TracerProvider:
        return self._given or _check_provider(trace.get_tracer_provider())

    @cached_property
    def _tracer(self) -> trace.Tracer:
        tracer = self._provider.get_tracer("lambda_durable")
        if isinstance(tracer, Tracer):  # and not what OTEL_SDK_DISABLED makes of it
            tracer.id_generator = _IDS
        return tracer

    def _root(self, run: RunInfo) -> SpanContext:
        """The run's own span, which is made at its end."""
        span_id = _span_id(run, run.run_id)
        above = trace.get_current_span(_W3C.extract(run.carried, Context())).get_span_context()
        if above.is_valid:
            return SpanContext(above.trace_id, span_id, True, above.trace_flags, above.trace_state)
        trace_id = _trace_id(run)
        sampled = self._provider.sampler.should_sample(Context(), trace_id, run.function_id)
        dropped = sampled.decision is not Decision.RECORD_AND_SAMPLE
        flags = TraceFlags(TraceFlags.DEFAULT if dropped else TraceFlags.SAMPLED)
        return SpanContext(trace_id, span_id, True, flags)

    def _step(
        self, run: RunInfo, step: StepAttempt | EndedStep, calls: int, attributes: dict[str, AttributeValue]
    ) -> Span:
        """A step's span, or that of the how many-th call of its function, below what the step lies in."""
        root = self._root(run)
        journal, _, path = step.key.partition("/")
        within = paths.parent(path)
        above = root.span_id if within in ("", paths.UNDO) else _span_id(run, f"{journal}/{within}")
        parent = SpanContext(root.trace_id, above, True, root.trace_flags, root.trace_state)
        _next.set((root.trace_id, _span_id(run, step.key, calls)))
        return self._tracer.start_span(
            step.step_id,
            trace.set_span_in_context(NonRecordingSpan(parent), Context()),
            _KINDS.get(step.kind, SpanKind.INTERNAL),
            _of_run(run)
            | {"lambda_durable.step_id": step.step_id, "lambda_durable.step_kind": step.kind}
            | attributes,
            start_time=_nanoseconds(step.began_at),
        )

    def _end(self, span: Span, error: ErrorInfo | None, ended: int) -> None:
        if error is not None:
            told = {"exception.type": error.type}
            if self._details:
                told |= {"exception.message": error.message, "exception.stacktrace": error.traceback}
            span.add_event("exception", told, ended)
            span.set_status(Status(StatusCode.ERROR, error.message if self._details else error.type))
        span.end(ended)


class _Ids(IdGenerator):
    """Gives a span the ids that were chosen for it."""

    def generate_trace_id(self) -> int:
        return _next.get()[0]

    def generate_span_id(self) -> int:
        return _next.get()[1]


_IDS: Final = _Ids()
_next: ContextVar[tuple[int, int]] = ContextVar("the ids of the next span")


def _check_provider(provider: object) -> TracerProvider:
    if not isinstance(provider, TracerProvider):
        raise ConfigurationError(
            f"OpenTelemetry() needs a TracerProvider of OpenTelemetry's SDK, and there is {provider!r}: make one with "
            "your exporter and give it, OpenTelemetry(provider); or make it the global one before the first run, with "
            "opentelemetry.trace.set_tracer_provider(provider)"
        )
    return provider


def _trace_id(run: RunInfo) -> int:
    """It begins with the seconds of the run's start, as X-Ray wants it."""
    seconds = int(run.created_at.timestamp())
    return seconds << 96 | int.from_bytes(_digest(run, run.run_id)[:12])


def _span_id(run: RunInfo, key: str, calls: int = 0) -> int:
    return int.from_bytes(_digest(run, f"{key}\n{calls}")[:8]) or 1


def _digest(run: RunInfo, text: str) -> bytes:
    return hashlib.sha256(f"{run.app_id}\n{text}".encode()).digest()


def _of_run(run: RunInfo) -> dict[str, AttributeValue]:
    return {
        "lambda_durable.app_id": run.app_id,
        "lambda_durable.function_id": run.function_id,
        "lambda_durable.run_id": run.run_id,
    }


def _nanoseconds(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND * 1000
