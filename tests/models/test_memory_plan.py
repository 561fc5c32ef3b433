"""The plan is correct for every model, every size of GPU and every number of slots."""

from dataclasses import replace
from itertools import pairwise

import pytest

from app.models.catalog import (
    BY_TAG,
    ENTRIES,
    GIB,
    CatalogEntry,
    entry_from_model_info,
    find_entry,
    is_new_enough,
    smaller_entries,
)
from app.models.memory_plan import (
    CONTEXT_STEP,
    DEFAULT_NUM_CTX,
    ENOUGH_F16_TOKENS,
    MAX_NUM_CTX,
    MIN_NUM_CTX,
    CacheType,
    cache_bytes_per_token,
    placement_of,
    plan_context,
    plan_memory,
)

B32 = BY_TAG["qwen3-vl:32b"]
SIZES = [int(gib * GIB) for gib in (0, 0.5, 2, 4, 6, 8, 11.99, 12, 16, 20, 22, 22.5, 23, 23.98)]
SIZES += [int(gib * GIB) for gib in (24, 31.8, 32, 40, 47.5, 48, 80, 96, 139.8, 141, 192, 8 * 80)]
every = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.tag)
slotted = pytest.mark.parametrize("slots", [1, 2, 4, 7])


def in_slots(entry: CatalogEntry) -> CatalogEntry:
    """The same shape in a family for which Ollama runs several requests at once."""
    return replace(entry, family="gemma3")


def needed(entry: CatalogEntry, kind: CacheType, tokens: int) -> float:
    """Return the sum in GiB, calculated independently and without the plan's rounding."""
    return (2 * GIB + entry.weights_bytes + cache_bytes_per_token(entry, kind) * tokens) / GIB


@every
@slotted
def test_what_fits_adds_up(entry: CatalogEntry, slots: int) -> None:
    entry = in_slots(entry)
    for size in SIZES:
        done = plan_memory(entry, size, slots)
        assert done.fits == (done.num_ctx >= MIN_NUM_CTX)
        if not done.fits:
            assert done.num_ctx == done.max_slots == 0
            assert done.needed > done.vram
            assert done.advice
            continue
        assert done.needed == sum(term.hundredths for term in done.terms) <= done.vram
        assert needed(entry, done.cache_type, done.num_ctx * slots) * GIB <= size
        assert done.num_ctx % CONTEXT_STEP == 0
        assert done.num_ctx <= MAX_NUM_CTX
        assert done.max_slots >= slots
        assert done.capped == (done.num_ctx == MAX_NUM_CTX)
        assert (done.cache_type == "f16") == (
            done.num_ctx >= ENOUGH_F16_TOKENS
        ) or done.cache_type == "q8_0"


@every
@slotted
def test_a_step_more_would_not_fit(entry: CatalogEntry, slots: int) -> None:
    """The tolerance is 0.05 because five terms are rounded by up to a hundredth each."""
    entry = in_slots(entry)
    for size in SIZES:
        done = plan_memory(entry, size, slots)
        if done.fits and not done.capped:
            more = needed(entry, done.cache_type, (done.num_ctx + CONTEXT_STEP) * slots)
            assert more > size / GIB - 0.05
            again = plan_memory(entry, size, slots, cap=done.num_ctx + CONTEXT_STEP)
            assert again.num_ctx == done.num_ctx


@every
@slotted
@pytest.mark.parametrize("cache", [None, "f16", "q8_0"])
def test_more_memory_never_gives_less(
    entry: CatalogEntry, slots: int, cache: CacheType | None
) -> None:
    """With one cache type, more memory never gives less context, and a model that fits still fits.

    Where f16 replaces q8_0 the context may become shorter, but not shorter than
    `ENOUGH_F16_TOKENS`.
    """
    grid = sorted({*SIZES, *(int(i * GIB / 16) for i in range(16 * 160))})
    entry = in_slots(entry)
    contexts = [plan_memory(entry, size, slots, cache=cache).num_ctx for size in grid]
    for less, more in pairwise(contexts):
        assert more >= (less if cache else min(less, ENOUGH_F16_TOKENS))


def test_f16_unless_it_is_short() -> None:
    card = plan_memory(B32, 24 * GIB)
    assert (card.num_ctx, card.cache_type, card.num_ctx_q8) == (9216, "f16", 18_432)
    tight = plan_memory(B32, 23 * GIB)
    assert (tight.num_ctx, tight.cache_type) == (10_240, "q8_0")
    assert any("OLLAMA_KV_CACHE_TYPE=q8_0" in line for line in tight.report_lines)
    assert plan_memory(B32, 24 * GIB, cache="q8_0").num_ctx == 18_432
    assert plan_memory(in_slots(B32), 24 * GIB, 2).cache_type == "q8_0"


def test_one_slot_where_ollama_runs_no_more() -> None:
    """The context is that of one slot, and the lines do not recommend more slots."""
    four, one = plan_memory(B32, 48 * GIB, 4), plan_memory(B32, 48 * GIB)
    assert (four.slots, four.num_ctx, four.terms) == (1, one.num_ctx, one.terms)
    assert "one request at a time" in four.single_slot_reason and not one.single_slot_reason
    assert sum("one slot" in line for line in four.report_lines) == 1
    assert not any("There is room for" in line for line in (*four.report_lines, *one.report_lines))
    other = plan_memory(in_slots(B32), 80 * GIB, 4)
    assert other.slots == 4 and not other.single_slot_reason
    assert any(
        "There is room for" in line for line in plan_memory(in_slots(B32), 80 * GIB, 1).report_lines
    )


def test_the_cap_can_be_raised_to_what_the_model_was_trained_for() -> None:
    assert plan_memory(BY_TAG["qwen3-vl:2b"], 80 * GIB, cap=10**9).num_ctx == 262_144


def test_what_does_not_fit_says_what_would() -> None:
    assert plan_memory(B32, 22 * GIB).advice == "use qwen3-vl:30b, or 23 GiB of GPU memory"
    assert plan_memory(B32, 7 * GIB).advice.startswith("use qwen3-vl:4b, or")
    assert plan_memory(B32, 2 * GIB).advice == "use 23 GiB of GPU memory"


def test_every_gpu_has_buffers_of_its_own() -> None:
    one, two = plan_memory(B32, 48 * GIB), plan_memory(B32, 48 * GIB, gpus=2)
    assert two.needed == one.needed + 200
    assert any("each of 2 GPUs" in line for line in two.report_lines)


@every
def test_the_lines_fit_a_terminal(entry: CatalogEntry) -> None:
    for size in SIZES:
        for slots, gpus in ((1, 1), (16, 8)):
            lines = plan_memory(entry, size, slots, gpus=gpus).report_lines
            assert max(map(len, lines)) < 80, lines


def test_cache_of_a_token() -> None:
    assert cache_bytes_per_token(B32, "f16") == 256 * 1024
    assert cache_bytes_per_token(B32, "q8_0") == 136 * 1024
    # from a log of llama.cpp (lmstudio-bug-tracker 1176)
    assert cache_bytes_per_token(BY_TAG["qwen3-vl:8b"], "q8_0") * 16_384 == 1224 << 20


def test_context() -> None:
    assert plan_context(0, 262_144) == DEFAULT_NUM_CTX
    assert plan_context(0, 262_144, 9216) == 9216
    assert plan_context(16_384, 262_144, 9216) == 16_384
    assert plan_context(0, 2048, 9216) == 2048


def test_find_and_smaller() -> None:
    assert find_entry("qwen3-vl:14b") is BY_TAG["qwen3-vl:8b"]
    assert find_entry("qwen3-vl:32b-instruct") is B32
    assert find_entry("qwen3-vl:32b-instruct-q8_0") is None
    assert [e.tag for e in smaller_entries(BY_TAG["qwen3-vl:8b"])] == ["qwen3-vl:4b", "qwen3-vl:2b"]
    weights = [entry.weights_bytes for entry in ENTRIES]
    assert weights == sorted(weights)


def test_an_installed_model_is_described_by_its_own_header() -> None:
    info = {
        "general.architecture": "qwen3vl",
        "qwen3vl.block_count": 64,
        "qwen3vl.attention.head_count": 64,
        "qwen3vl.attention.head_count_kv": 8,
        "qwen3vl.attention.key_length": 128,
        "qwen3vl.context_length": 4096,
    }
    entry = entry_from_model_info("mine", 21_000_000_000, info)
    assert entry is not None
    assert entry.cache_values_per_token == B32.cache_values_per_token
    assert plan_memory(entry, 80 * GIB).num_ctx == entry.trained == 4096
    assert entry_from_model_info("mine", 1, {"general.architecture": "embedded"}) is None
    assert entry_from_model_info("mine", 1, {}) is None


@pytest.mark.parametrize(
    ("version", "enough"),
    [
        *((version, True) for version in ("0.12.7", "0.12.7-rc1", "0.33.0", "0.0.0", "1.0.0")),
        *((version, False) for version in ("0.9.3", "0.12.6", "0.9.3-embedded", "", "x")),
    ],
)
def test_versions(version: str, enough: bool) -> None:
    assert is_new_enough(version) is enough


@pytest.mark.parametrize(
    ("loaded", "share", "words"),
    [
        ({"size": 24 * GIB, "size_vram": 24 * GIB}, 1.0, ()),
        (
            {"size": 25 * GIB, "size_vram": 20 * GIB, "context_length": 32_768},
            0.8,
            ("only 80% on the GPU", "5.0 of 25.0 GiB", "NUM_CTX below 32768", "qwen3-vl:30b"),
        ),
        ({"size": 1000 * GIB, "size_vram": 999 * GIB}, 0.999, ("only 99% on the GPU",)),
        ({"size": 24 * GIB, "size_vram": 0}, 0.0, ("only on the CPU", "Ollama finds the GPU")),
        ({"size": GIB // 32, "size_vram": 0}, 0.0, ()),
        ({"size": 0, "size_vram": 0}, None, ()),
        ({}, None, ()),
    ],
)
def test_judging_a_loaded_model(
    loaded: dict[str, object], share: float | None, words: tuple[str, ...]
) -> None:
    placement = placement_of({"name": "qwen3-vl:32b", **loaded})
    assert placement.gpu_share == share
    assert all(word in placement.warning for word in words), placement.warning
    assert bool(placement.warning) == bool(words)
