"""The behaviour of Ollama by version and model family."""

import pytest

from app.models.daemon import Daemon, known_bug, parse_version
from app.models.tokens import image_rule
from tests.fake_ollama.versioned import VersionedOllama
from tests.fake_ollama.versions import Rules


def test_numbers_of_a_version() -> None:
    assert parse_version("0.12.7-rc1") == (0, 12, 7)
    assert parse_version("v0.33.0") == (0, 33, 0)
    assert parse_version("") == parse_version("main") == ()


@pytest.mark.parametrize("family", ["qwen3vl", "qwen3vlmoe", "qwen35"])
@pytest.mark.parametrize("version", ["0.12.7", "0.13.0", "0.29.0", "0.30.0", "0.33.0", "0.34.0"])
def test_the_plan_of_a_picture_is_what_the_fake_counts(version: str, family: str) -> None:
    """The fake does not use the server's code; `tests/mtmd` compares it with llama.cpp."""
    rules, plan = Rules(version, family), image_rule({"general.architecture": family}, version)
    sizes = [(64, 64), (640, 480), (656, 464), (1000, 3000), (1600, 1200), (4000, 3000), (80, 4000)]
    assert [plan.tokens(*size) for size in sizes] == [rules.tokens(*size) for size in sizes]


def test_the_limit_in_a_models_file_does_not_bind_llama_server() -> None:
    info = {"general.architecture": "qwen25vl", "qwen25vl.vision.max_pixels": 256 * 28 * 28}
    assert image_rule(info, "0.12.7").max_tokens == 256
    assert image_rule(info, "0.30.0").max_tokens == 4096


@pytest.mark.parametrize(("family", "slots"), [("qwen3vl", 1), ("qwen35moe", 1), ("gemma3", 4)])
def test_slots(family: str, slots: int) -> None:
    daemon = Daemon("0.33.0", family)
    assert daemon.slots(4) == slots == VersionedOllama(Rules("0.33.0", family), parallel=4).slots
    assert bool(daemon.single_slot_reason(4)) is (slots == 1)
    assert not daemon.single_slot_reason(slots)


@pytest.mark.parametrize("version", ["0.9.3", "0.12.7", "0.30.0", "0.31.0", "0.33.0", "0.34.0"])
def test_it_never_takes_more_for_granted_than_the_daemon_does(version: str) -> None:
    rules, daemon = Rules(version), Daemon(version, "qwen3vl")
    assert daemon.may_fuse_images or not rules.fuses
    assert rules.tags or not daemon.image_tags
    assert rules.counts_cached or not daemon.counts_cached_tokens
    assert daemon.llama_server is rules.llama_server


def test_what_is_sent_as_shift() -> None:
    """From 0.30 on nothing is sent, as by other clients."""
    assert Daemon("0.12.7", "qwen3vl").shift is False
    assert Daemon("0.30.0", "qwen3vl").shift is None
    assert Daemon("", "qwen3vl").shift is False


def test_a_version_that_is_not_told_is_not_relied_on() -> None:
    daemon = Daemon("", "qwen3vl")
    assert daemon.may_fuse_images and not daemon.image_tags and not daemon.enforces_format_at_start


def test_a_build_from_source_is_the_newest_but_for_tags() -> None:
    daemon = Daemon("0.0.0", "qwen3vl")
    assert (
        daemon.may_fuse_images
        and daemon.enforces_format_at_start
        and daemon.applies_format_after_reasoning
        and daemon.counts_cached_tokens
    )
    assert daemon.shift is None
    assert not daemon.image_tags


def test_an_empty_thought_is_written_for_qwen3_only() -> None:
    assert Daemon("0.34.0", "qwen3vl").enforces_format_at_start
    assert not Daemon("0.34.0", "gemma4").enforces_format_at_start
    assert not Daemon("0.34.0", "qwen25vl").enforces_format_at_start


def test_bad_versions_are_named() -> None:
    assert "0.30.2" in known_bug("0.30.2") and "update" in known_bug("0.30.2")
    assert not known_bug("0.34.0") and not known_bug("") and not known_bug("0.12.7")
