"""Computes the largest context that keeps a model entirely on the GPU, and shows the calculation.

    reserved memory + engine's buffers + weights + cache of all slots  <=  memory of the GPU

Every term is rounded up to a hundredth of a GiB and the memory is rounded down. All further
calculation uses these numbers, so the printed numbers add up. They are estimates. The real
placement is in `/api/ps` when the model is loaded, see `placement_of`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from app.models.catalog import GIB, CatalogEntry, find_entry, smaller_entries
from app.models.daemon import Daemon

CacheType = Literal["f16", "q8_0"]

DEFAULT_NUM_CTX = 8192  # tokens if the GPU is unknown: an image of 4,096 tokens and an answer
CONTEXT_STEP = 1024  # tokens; contexts are multiples of it
# Tokens. The cap fits seven images of 4,096 tokens and a long answer. Ollama allocates the cache
# when it loads the model: a longer context costs memory and slots, and no request needs it.
MAX_NUM_CTX = 32_768
ENOUGH_F16_TOKENS = (
    8192  # tokens; from here on f16 is preferred to the longer context of q8_0, for quality
)
MIN_NUM_CTX = (
    4096  # tokens; in less, two images of Ollama 0.12 (2,048 each) leave none for the answer
)

# Memory of each GPU that is never free. Ollama sees 23.6 GiB of a 24 GiB card, of which 23.1 to
# 23.3 are free on an idle system. Ollama reserves another 457 MiB ("minimum" in its log). The input
# embeddings compensate for that: they stay in CPU memory but are included in our weights.
NEVER_FREE_BYTES = GIB // 2
# Estimate: compute graphs of text (0.3 GiB for qwen3:32b in Ollama 0.13) and of the vision tower.
# Ollama 0.12.7 took more: 25 GB for 30b at 8,192 tokens (ollama/ollama issue 12846).
BUFFER_BYTES = GIB * 3 // 2

Q8_ENVIRONMENT = (
    "OLLAMA_FLASH_ATTENTION=1 OLLAMA_KV_CACHE_TYPE=q8_0"  # settings of Ollama, not of this server
)

MIN_WARNED_BYTES = GIB  # a smaller model is fast enough on a CPU


@dataclass(frozen=True, slots=True)
class Term:
    """One term of the sum, in hundredths of a GiB, and its label."""

    hundredths: int
    label: str

    @property
    def gib(self) -> float:
        """The term in GiB."""
        return self.hundredths / 100


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """How to run a model on a GPU.

    num_ctx: context of each slot in tokens; 0 if the model does not fit.
    num_ctx_q8: the same with a q8_0 cache, whichever type is chosen.
    slots: requests in parallel: as requested (`OLLAMA_NUM_PARALLEL`), or one if Ollama runs no more
        for the model's family.
    single_slot_reason: why there are fewer slots than requested; empty if there are not.
    max_slots: number of slots of `num_ctx` tokens that fit.
    terms: the uses of the memory; if the model does not fit, with the shortest useful context.
    vram: the memory, in hundredths of a GiB.
    capped: the context has reached the cap or the longest context that the model is trained for.
    advice: the alternatives if the model does not fit.
    """

    entry: CatalogEntry
    num_ctx: int
    num_ctx_q8: int
    slots: int
    max_slots: int
    cache_type: CacheType
    terms: tuple[Term, ...]
    vram: int
    capped: bool
    advice: str
    single_slot_reason: str = ""

    @property
    def fits(self) -> bool:
        """Whether the model fits with a useful context."""
        return self.num_ctx > 0

    @property
    def needed(self) -> int:
        """The sum of the terms, in hundredths of a GiB."""
        return sum(term.hundredths for term in self.terms)

    @property
    def report_lines(self) -> tuple[str, ...]:
        """The calculation as lines of text, in at most 79 columns."""
        signs = [" "] + ["+"] * (len(self.terms) - 1)
        sums = [
            f"  {sign}{term.gib:7.2f} GiB  {term.label}"
            for sign, term in zip(signs, self.terms, strict=True)
        ]
        return (_headline(self), *sums, _shape(self), _total(self), *_remarks(self))


def cache_bytes_per_token(entry: CatalogEntry, cache_type: CacheType) -> int:
    """Return the bytes of KV cache per token.

    f16 takes 2 bytes per value. q8_0 takes 34 bytes for a block of 32 values (a 16-bit scale and 32
    values of 8 bits). A llama.cpp log confirms this: 36 layers x 8 heads x 128 at q8_0 take
    1,224 MiB for 16,384 tokens.
    """
    values = entry.cache_values_per_token
    return values * 2 if cache_type == "f16" else -(-values * 34 // 32)


def plan_memory(
    entry: CatalogEntry,
    vram_bytes: int,
    slots: int = 1,
    *,
    gpus: int = 1,
    cap: int = MAX_NUM_CTX,
    cache: CacheType | None = None,
) -> MemoryPlan:
    """Compute the largest context that keeps the whole model on the GPU.

    The cache type is f16 if that gives `ENOUGH_F16_TOKENS` per slot, else q8_0.

    Args:
        vram_bytes: memory of all GPUs together.
        slots: requests that Ollama runs in parallel; each has a context of its own.
        gpus: number of GPUs that share the memory. Each needs buffers of its own.
        cap: longest context, in tokens.
        cache: Ollama's cache type, if it is known; None to choose it.
    """
    daemon = Daemon(family=entry.family)
    asked, slots = slots, daemon.slots(slots)
    room = max(0, vram_bytes) * 100 // GIB
    fixed = _fixed_terms(entry, gpus)
    rest = (room - sum(term.hundredths for term in fixed)) * GIB // 100
    longest = _whole_steps(min(cap, entry.trained))
    kind, context = _cache_type_and_context(entry, rest // slots, longest, cache)
    fits = context >= min(MIN_NUM_CTX, longest)
    if not fits:
        context = min(MIN_NUM_CTX, longest)
    terms = (*fixed, _cache_term(entry, kind, context, slots))
    return MemoryPlan(
        entry=entry,
        num_ctx=context if fits else 0,
        num_ctx_q8=_cache_type_and_context(entry, rest // slots, longest, "q8_0")[1] if fits else 0,
        slots=slots,
        max_slots=rest // (cache_bytes_per_token(entry, kind) * context) if fits else 0,
        cache_type=kind,
        terms=terms,
        vram=room,
        capped=context >= longest,
        advice="" if fits else _advice(entry, vram_bytes, slots, gpus, terms),
        single_slot_reason=daemon.single_slot_reason(asked),
    )


def plan_context(wanted: int, trained: int, planned: int = 0) -> int:
    """Return the `num_ctx` (tokens) that all requests of this server use.

    A different value in a later request would reload the whole model.

    Args:
        wanted: the user's choice; 0 for none.
        trained: the longest context that the model is trained for; 0 if unknown.
        planned: `MemoryPlan.num_ctx`; 0 if no GPU is known or the model does not fit.
    """
    context = wanted or planned or DEFAULT_NUM_CTX
    return min(context, trained) if trained else context


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a loaded model is.

    gpu_share: the share of the model on the GPU, 0 to 1; None if unknown.
    warning: a sentence for the log if the share is too small; else empty.
    """

    gpu_share: float | None
    warning: str = ""


def placement_of(loaded: Mapping[str, Any]) -> Placement:
    """Judge the placement of a loaded model by its entry in `/api/ps`.

    Ollama reports no error if a model does not fit: it runs the rest on the CPU, many times slower.
    `size` and `size_vram` are equal if every layer is on the GPU (llm/server.go, VRAMSize, which
    then includes the parts that always stay on the CPU).
    """
    size, on_gpu = int(loaded.get("size") or 0), int(loaded.get("size_vram") or 0)
    if size <= 0:
        return Placement(None)
    share = min(on_gpu / size, 1.0)
    if share == 1.0 or size < MIN_WARNED_BYTES:
        return Placement(share)
    name = str(loaded.get("name", "The model"))
    where = (
        f"{name} is only {int(share * 100)}% on the GPU: {(size - on_gpu) / GIB:.1f} of "
        f"{size / GIB:.1f} GiB run on the CPU, many times slower."
        if on_gpu
        else f"{name} runs only on the CPU, many times slower than on a GPU."
    )
    ways = ["stop other programs on the GPU"] if on_gpu else ["check that Ollama finds the GPU"]
    if context := loaded.get("context_length"):
        ways.append(f"set NUM_CTX below {context}")
    if (entry := find_entry(name)) and (lighter := smaller_entries(entry)):
        ways.append(f"use a smaller model such as {lighter[0].tag}")
    advice = ", or ".join(ways)
    return Placement(
        share, f"{where} {advice[0].upper()}{advice[1:]}. `python -m app doctor` shows what fits."
    )


def _hundredths_of_gib(size: int) -> int:
    """Convert bytes to hundredths of a GiB, rounded up."""
    return -(-size * 100 // GIB)


def _cache_type_and_context(
    entry: CatalogEntry, rest: int, longest: int, known: CacheType | None
) -> tuple[CacheType, int]:
    """Return the cache type, and the context (tokens, whole steps) that fits in `rest` bytes."""

    def tokens(kind: CacheType) -> int:
        return min(
            longest,
            max(0, rest // cache_bytes_per_token(entry, kind) // CONTEXT_STEP * CONTEXT_STEP),
        )

    kind: CacheType = known or "f16"
    if not known and tokens(kind) < min(ENOUGH_F16_TOKENS, longest):
        kind = "q8_0"
    return kind, tokens(kind)


def _whole_steps(tokens: int) -> int:
    return tokens // CONTEXT_STEP * CONTEXT_STEP or tokens


def _fixed_terms(entry: CatalogEntry, gpus: int) -> tuple[Term, ...]:
    each = "" if gpus == 1 else f", on each of {gpus} GPUs"
    source = ", estimated from the download" if entry.estimated else ""
    return (
        Term(_hundredths_of_gib(NEVER_FREE_BYTES * gpus), f"reserved: driver, CUDA context{each}"),
        Term(_hundredths_of_gib(BUFFER_BYTES * gpus), f"engine buffers, estimated{each}"),
        Term(_hundredths_of_gib(entry.weights_bytes), f"weights with the vision tower{source}"),
    )


def _cache_term(entry: CatalogEntry, kind: CacheType, context: int, slots: int) -> Term:
    size = cache_bytes_per_token(entry, kind)
    of = f" x {slots} slots" if slots > 1 else ""
    return Term(
        _hundredths_of_gib(size * context * slots),
        f"{kind} cache: {context} tokens{of} x {size} bytes",
    )


def _advice(
    entry: CatalogEntry, vram_bytes: int, slots: int, gpus: int, terms: tuple[Term, ...]
) -> str:
    larger = f"{-(-sum(term.hundredths for term in terms) // 100)} GiB of GPU memory"
    fitting = (
        e.tag for e in smaller_entries(entry) if plan_memory(e, vram_bytes, slots, gpus=gpus).fits
    )
    tag = next(fitting, "")
    return f"use {tag}, or {larger}" if tag else f"use {larger}"


def _headline(done: MemoryPlan) -> str:
    what = f"{done.entry.tag} on {done.vram / 100:.2f} GiB"
    if not done.fits:
        return f"{what}: does not fit"
    slots = "1 slot" if done.slots == 1 else f"{done.slots} slots"
    return f"{what}: num_ctx {done.num_ctx}, {slots}, {done.cache_type} cache"


def _shape(done: MemoryPlan) -> str:
    """Return the line that explains the bytes per token."""
    entry, size = done.entry, "2" if done.cache_type == "f16" else "34/32"
    shape = f"{entry.layers} layers x {entry.kv_heads} heads x {entry.head_dim}"
    return f"{'':16}{shape} x 2 (keys, values) x {size} bytes"


def _total(done: MemoryPlan) -> str:
    over = done.needed - done.vram
    rest = f"{over / 100:.2f} over" if over > 0 else f"{-over / 100:.2f} left"
    return f"  ={done.needed / 100:7.2f} GiB  of {done.vram / 100:.2f}: {rest}"


def _remarks(done: MemoryPlan) -> tuple[str, ...]:
    """Return the lines below the sum: what limits the context, settings, and spare slots."""
    if not done.fits:
        return (f"  {done.advice[0].upper()}{done.advice[1:]}.",)
    said = []
    if done.capped:
        said.append(f"  A longer context than {done.num_ctx} tokens would only cost memory.")
    else:
        longer = done.num_ctx + CONTEXT_STEP
        size = _hundredths_of_gib(
            cache_bytes_per_token(done.entry, done.cache_type) * longer * done.slots
        )
        total = done.needed - done.terms[-1].hundredths + size
        said.append(f"  {longer} tokens would need {total / 100:.2f} GiB.")
        if done.cache_type == "f16":
            said.append(f"  q8_0 ({Q8_ENVIRONMENT}): {done.num_ctx_q8} tokens.")
    if done.cache_type == "q8_0":
        said.append(f"  For q8_0 Ollama needs {Q8_ENVIRONMENT}.")
    if done.single_slot_reason:
        said.append(f"  {done.entry.family} runs in one slot; OLLAMA_NUM_PARALLEL is ignored.")
    if done.max_slots > done.slots and Daemon(family=done.entry.family).slots(2) > 1:
        said.append(f"  There is room for {done.max_slots} slots (OLLAMA_NUM_PARALLEL).")
    return tuple(said)
