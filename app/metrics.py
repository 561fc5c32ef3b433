"""What Prometheus is told; the names are the contract's."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from app.engine.gate import Gate
from app.schemas import Answer

# From a cached answer to a long document, in seconds.
SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """One registry a server, so that several can live in one process."""

    def __init__(self, gate: Gate) -> None:
        self._registry = registry = CollectorRegistry()

        def counter(name: str, what: str, *labels: str) -> Counter:
            return Counter(name, what, labels, registry=registry)

        def histogram(name: str, what: str) -> Histogram:
            return Histogram(name, what, ["task"], buckets=SECONDS, registry=registry)

        def gauge(name: str, what: str, *labels: str) -> Gauge:
            return Gauge(name, what, labels, registry=registry)

        self._requests = counter("vlm_requests_total", "Requests ended", "task", "model", "code")
        self._seconds = histogram("vlm_request_seconds", "From the request to its end")
        self._queue = histogram("vlm_queue_seconds", "Waiting for a slot")
        self._prepare = histogram("vlm_prepare_seconds", "Looking at and decoding pictures")
        self._first = histogram("vlm_time_to_first_token_seconds", "From the request to text")
        self._prompt = counter("vlm_prompt_tokens_total", "As the engine counted", "model")
        self._completion = counter("vlm_completion_tokens_total", "As the engine counted", "model")
        self._image = counter("vlm_image_tokens_total", "As planned", "model")
        self._cache_hits = counter("vlm_cache_hits_total", "Answers that were kept")
        gauge("vlm_in_flight", "Requests at the engine").set_function(lambda: gate.running)
        gauge("vlm_queue_depth", "Requests that wait").set_function(lambda: gate.waiting)
        self._up = gauge("vlm_engine_up", "1 where the engine answers")
        self._vram = gauge("vlm_model_vram_ratio", "Share of the model on the GPU", "model")

    def ended(self, task: str, model: str, code: str, seconds: float) -> None:
        """A request is over; `code` is `ok`, a problem's code, or `client_left`."""
        self._requests.labels(task, model, code).inc()
        self._seconds.labels(task).observe(seconds)

    def first_text(self, task: str, seconds: float) -> None:
        self._first.labels(task).observe(seconds)

    def answered(self, answer: Answer) -> None:
        """A whole answer went out; tokens are counted where they were spent."""
        if answer.cached:
            self._cache_hits.inc()
            return
        self._queue.labels(answer.task).observe(answer.timings.queue_ms / 1e3)
        self._prepare.labels(answer.task).observe(answer.timings.prepare_ms / 1e3)
        self._prompt.labels(answer.model).inc(answer.usage.prompt_tokens)
        self._completion.labels(answer.model).inc(answer.usage.completion_tokens)
        self._image.labels(answer.model).inc(sum(image.tokens for image in answer.images))

    def engine(self, up: bool, model: str = "", share: float | None = None) -> None:
        """How the engine is, as of now."""
        self._up.set(up)
        if share is not None:
            self._vram.labels(model).set(share)

    def text(self) -> bytes:
        """The exposition format, version 0.0.4."""
        return generate_latest(self._registry)
