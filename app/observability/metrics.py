"""Prometheus metrics. Their names are part of the API contract.

Clients cannot make the label sets grow: tasks and codes are fixed, and models are installed ones.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from app.engine.scheduler import Scheduler
from app.observability.request_summary import RequestSummary

# From a cached answer to a long document, in seconds.
LATENCY_BUCKETS_S = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
MAX_MODEL_LABELS = 50  # with a label of their own; more are `other`

# The `_created` series double the output, and nobody queries them.
disable_created_metrics()  # type: ignore[no-untyped-call]


class _EngineFaultCollector(Collector):
    """Faults of the engine, as the registry of models counts them."""

    def __init__(
        self, faults: Callable[[], Mapping[tuple[str, str], int]], label: Callable[[str], str]
    ) -> None:
        self._faults, self._label = faults, label

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(
            "vlm_engine_faults",
            "lost_image: a picture did not reach the model; canary: a known picture was misread",
            labels=["model", "fault"],
        )
        sums: dict[tuple[str, str], int] = {}
        for (model, fault), times in self._faults().items():
            labels = self._label(model), fault
            sums[labels] = sums.get(labels, 0) + times
        for labels, times in sorted(sums.items()):
            family.add_metric(labels, times)
        yield family


class Metrics:
    """The metrics of one server; each has a registry of its own, as tests run several."""

    def __init__(
        self, scheduler: Scheduler, faults: Callable[[], Mapping[tuple[str, str], int]] = dict
    ) -> None:
        self._registry = registry = CollectorRegistry()
        self._models: set[str] = set()

        # Series are cached by their labels: the library takes 3 us for each look-up.
        def counter(name: str, what: str, *labels: str) -> Callable[..., Counter]:
            return cache(Counter(name, what, labels, registry=registry).labels)

        def histogram(name: str, what: str) -> Callable[[str], Histogram]:
            made = Histogram(name, what, ["task"], buckets=LATENCY_BUCKETS_S, registry=registry)
            return cache(made.labels)

        def gauge(name: str, what: str, *labels: str) -> Gauge:
            return Gauge(name, what, labels, registry=registry)

        self._requests = counter(
            "vlm_requests_total",
            "Requests ended: ok, the code of a problem, or client_left",
            "task",
            "model",
            "code",
        )
        self._seconds = histogram("vlm_request_seconds", "From the request to its whole answer")
        self._queue = histogram("vlm_queue_seconds", "Waiting for a slot, also in vain")
        self._prepare = histogram("vlm_prepare_seconds", "Looking at and decoding pictures")
        self._first_token = histogram("vlm_time_to_first_token_seconds", "From the request to text")
        self._prompt = counter("vlm_prompt_tokens_total", "As the engine counted", "model")
        self._completion = counter("vlm_completion_tokens_total", "As the engine counted", "model")
        self._image = counter("vlm_image_tokens_total", "As planned", "model")
        hits = "Answers that were kept"
        self._cache_hits = Counter("vlm_cache_hits_total", hits, registry=registry)
        gauge("vlm_in_flight", "Requests at the engine").set_function(lambda: scheduler.running)
        gauge("vlm_queue_depth", "Requests that wait").set_function(lambda: scheduler.waiting)
        slots = "Requests that the engine takes at once"
        gauge("vlm_slots", slots).set_function(lambda: scheduler.slots)
        gauge("vlm_queue_limit", "Requests that may wait").set(scheduler.max_queue)
        self._up = gauge("vlm_engine_up", "1 where the engine answers")
        self._vram = gauge("vlm_model_vram_ratio", "Share of the model on the GPU", "model")
        registry.register(_EngineFaultCollector(faults, self._model_label))
        ProcessCollector(registry=registry)

    def record(self, summary: RequestSummary) -> None:
        """Count a finished request of a task, or one without a valid key."""
        task, code = summary.task, summary.code
        if not task and code != "unauthorized":
            return
        model = self._model_label(summary.model)
        self._requests(task, model, code).inc()
        answer = summary.answer
        if summary.first_text_at:
            self._first_token(task).observe(summary.first_text_at - summary.started)
        if answer:
            self._seconds(task).observe(summary.ended - summary.started)
        if summary.cached:
            self._cache_hits.inc()
            return
        for stage in summary.stages:
            took = stage.end - stage.start
            if stage.name == "queue":
                self._queue(task).observe(took)
            elif stage.name == "prepare" and summary.prepared_at:
                self._prepare(task).observe(took)
        if answer:
            self._prompt(model).inc(answer.usage.prompt_tokens)
            self._completion(model).inc(answer.usage.completion_tokens)
            self._image(model).inc(sum(image.tokens for image in answer.images))

    def set_engine_state(self, up: bool, model: str = "", share: float | None = None) -> None:
        """How the engine is, as of now; `share` is None where the model is not loaded."""
        self._up.set(up)
        self._vram.clear()
        if share is not None:
            self._vram.labels(self._model_label(model)).set(share)

    def exposition(self) -> bytes:
        """The exposition format, version 0.0.4."""
        return generate_latest(self._registry)

    def _model_label(self, model: str) -> str:
        """One a model, however it is written: the engine takes `LLAVA` and `library/llava:latest`
        for `llava`."""
        name = model.lower().removesuffix(":latest")
        name = name.removeprefix("registry.ollama.ai/").removeprefix("library/")
        if name in self._models or len(self._models) < MAX_MODEL_LABELS:
            self._models.add(name)
            return name
        return "other"
