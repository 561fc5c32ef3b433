"""The installed models and their capabilities, as reported by the engine."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from app.engine.client import OllamaClient
from app.errors import ForbiddenModel, InvalidParameter, ModelNotFound
from app.models.catalog import entry_from_model_info, find_entry, resolve
from app.models.daemon import Daemon
from app.models.gpu import GpuInventory
from app.models.memory_plan import CacheType, Placement, placement_of, plan_context, plan_memory
from app.models.tokens import ImageTokenRule, TokenEstimator, image_rule
from app.observability.logs import log

FAULT_KINDS = ("lost_image", "canary")
MAX_AGE_S = 30.0  # a model may be pulled or replaced at any time; a lookup takes milliseconds


@dataclass(slots=True)
class ObservedBehavior:
    """Observations from the answers of a model on one version of the daemon.

    enforces_format_at_start: False after the engine failed to enforce a `format` from the first
        token.
    image_tags_work: False after the engine merged images despite tags and text between them.
    faults: number of engine faults, by kind.
    """

    enforces_format_at_start: bool = True
    image_tags_work: bool = True
    faults: Counter[str] = field(default_factory=Counter)
    warning: str = ""  # a known fault, for the operator


@dataclass(frozen=True, slots=True)
class Model:
    """One installed model.

    `num_ctx`: context in tokens. `estimator`: learns the token cost of prompts over the lifetime
    of the server. `note`: a warning if the requested name was interpreted.
    """

    name: str
    capabilities: frozenset[str]
    family: str
    num_ctx: int
    image_rule: ImageTokenRule = field(default_factory=ImageTokenRule)
    estimator: TokenEstimator = field(default_factory=TokenEstimator, compare=False)
    note: str = ""
    digest: str = ""  # of its weights and template
    daemon: Daemon = field(default_factory=Daemon)
    observed: ObservedBehavior = field(default_factory=ObservedBehavior, compare=False)

    @property
    def has_vision(self) -> bool:
        return "vision" in self.capabilities

    @property
    def continues_last_turn(self) -> bool:
        """Whether the model continues an assistant message at the end. Ollama's qwen3vl renderer
        leaves it open (v0.33, model/renderers/qwen3vl.go); other templates close it."""
        return self.can_think or self.family.startswith("qwen3vl")

    @property
    def can_think(self) -> bool:
        return "thinking" in self.capabilities

    @property
    def enforces_format_at_start(self) -> bool:
        """Whether the engine enforces `format` from the first token of this thinking model."""
        return (
            self.can_think
            and self.daemon.enforces_format_at_start
            and self.observed.enforces_format_at_start
        )

    @property
    def image_separation(self) -> Literal["", "tags", "sizes"]:
        """How neighbouring images of equal size are separated; empty if that is not needed."""
        if not self.daemon.may_fuse_images:
            return ""
        return "tags" if self.daemon.image_tags and self.observed.image_tags_work else "sizes"


@dataclass(frozen=True, slots=True)
class ContextBudget:
    """Inputs of the context plan: `num_ctx` as configured (0: not set), else the GPUs and the
    daemon's slots and cache type."""

    num_ctx: int = 0
    gpus: GpuInventory = field(default_factory=GpuInventory)
    slots: int = 1
    cache: CacheType = "f16"


class ModelRegistry:
    """Looks up models and caches each for `MAX_AGE_S` seconds. Contexts and estimators are kept for
    the lifetime of the server."""

    def __init__(
        self,
        ollama: OllamaClient,
        default: str,
        allowed: frozenset[str],
        context_budget: ContextBudget,
        *,
        allow_cloud: bool = False,
        on_slots: Callable[[int], None] = lambda _slots: None,
    ) -> None:
        """Args:
        allow_cloud: serve models that the daemon runs on other machines.
        on_slots: called with the number of requests that the daemon runs at once.
        """
        self._ollama = ollama
        self._default = default
        self._allowed = {resolve(name)[0] for name in allowed | {default}} if allowed else set()
        self._context_budget = context_budget
        self._allow_cloud = allow_cloud
        self._on_slots = on_slots
        self._models: dict[str, tuple[float, Model]] = {}
        self._contexts: dict[str, int] = {}
        self._estimators: dict[str, TokenEstimator] = {}
        self._observed: dict[tuple[str, str, str], ObservedBehavior] = {}
        self._warned: dict[str, str] = {}
        self.single_slot_reason = ""  # why the default model gets fewer slots than configured

    async def find(self, requested: str | None = None, *, fresh: bool = False) -> Model:
        """The model named `requested`; the default model if it is None.

        Raises:
            ModelNotFound: the model is not installed or not allowed.
            ForbiddenModel: the daemon runs it on another machine, and that is not allowed.
            EngineUnavailable: the engine is unreachable.
        """
        name, note = resolve(requested or self._default)
        if self._allowed and name not in self._allowed:
            raise ModelNotFound(f"{name} is not served here. Served: {_joined(self._allowed)}.")
        since, model = self._models.get(name, (0.0, None))
        if model is None or fresh or time.monotonic() - since > MAX_AGE_S:
            model = await self._look_up(name, note)
            self._models[name] = (time.monotonic(), model)
        return model

    async def find_vision(self, requested: str | None = None, *, fresh: bool = False) -> Model:
        """As `find`, for a vision model. Daemons before 0.30 silently ignore images for any
        other model (docs/OLLAMA_FACTS.md).

        Raises:
            InvalidParameter: the model does not accept images.
        """
        model = await self.find(requested, fresh=fresh)
        if not model.has_vision:
            able = ", ".join(sorted(model.capabilities)) or "nothing"
            raise InvalidParameter(
                f"{model.name} does not accept images (capabilities: {able}). "
                "Choose a vision model such as qwen3-vl:32b.",
                parameter="model",
            )
        return model

    async def _look_up(self, name: str, note: str) -> Model:
        try:
            shown = await self._ollama.show(name)
        except ModelNotFound:
            self._models.pop(name, None)
            installed = [str(tag.get("name")) for tag in await self._ollama.tags()]
            raise ModelNotFound(
                f"{name} is not installed. Installed: {_joined(installed)}. "
                f"Get it with `ollama pull {name}` or `./download_model.sh {name}`.",
                installed=installed,
            ) from None
        info = shown.get("model_info") or {}
        entry = await self.installed_entry(name)
        if not self._allow_cloud and (where := remote_host(entry) or remote_host(shown)):
            raise ForbiddenModel(
                f"{name} does not run on this machine: the daemon sends images and text to "
                f"{where}. Choose another model, or set ALLOW_CLOUD_MODELS=true.",
                parameter="model",
            )
        daemon = Daemon(
            await self._ollama.version(), str((shown.get("details") or {}).get("family", ""))
        )
        if name == resolve(self._default)[0]:
            self._report_slots(daemon)
        if name not in self._contexts:
            self._contexts[name] = self._plan_context(name, info, int(entry.get("size") or 0))
        return Model(
            name=name,
            capabilities=frozenset(shown.get("capabilities") or ()),
            family=daemon.family,
            num_ctx=self._contexts[name],
            image_rule=image_rule(info, daemon.version),
            daemon=daemon,
            observed=self._observed.setdefault(
                (name, digest := str(entry.get("digest", "")), daemon.version), ObservedBehavior()
            ),
            estimator=self._estimators.setdefault(name, TokenEstimator(daemon.image_cost_known)),
            note=note,
            digest=digest,
        )

    def _report_slots(self, daemon: Daemon) -> None:
        why = daemon.single_slot_reason(self._context_budget.slots)
        if why and why != self.single_slot_reason:
            log.warning("one slot", detail=why)
        self.single_slot_reason = why
        self._on_slots(daemon.slots(self._context_budget.slots))

    def fault_counts(self) -> dict[tuple[str, str], int]:
        """The number of engine faults, by model and kind."""
        counts: Counter[tuple[str, str]] = Counter()
        for (name, _, _), observed in self._observed.items():
            for kind in FAULT_KINDS:
                counts[name, kind] += observed.faults[kind]
        return dict(counts)

    def _plan_context(self, name: str, info: Mapping[str, Any], size: int) -> int:
        """The context of a model in tokens. It stays fixed, because a change reloads the model."""
        arch = info.get("general.architecture", "")
        planned = 0
        if self._context_budget.gpus.gpus:
            entry = find_entry(name) or entry_from_model_info(name, size, info)
            gpus = self._context_budget.gpus
            if entry:
                made = plan_memory(
                    entry,
                    gpus.total_bytes,
                    self._context_budget.slots,
                    gpus=len(gpus.gpus),
                    cache=self._context_budget.cache,
                )
                planned = made.num_ctx
        trained = int(info.get(f"{arch}.context_length", 0))
        return plan_context(self._context_budget.num_ctx, trained, planned)

    async def served_models(self) -> list[dict[str, Any]]:
        """The `/api/tags` entries of all models that a request may name."""
        return [
            tag
            for tag in await self._ollama.tags()
            if (self._allow_cloud or not remote_host(tag))
            and (not self._allowed or str(tag.get("name")).removesuffix(":latest") in self._allowed)
        ]

    async def installed_entry(self, name: str) -> dict[str, Any]:
        """The `/api/tags` entry of a model; empty if it is not installed."""
        return _find_entry(await self._ollama.tags(), name)

    async def placement(self, name: str) -> Placement | None:
        """Where a model is loaded; None if it is not. A model that is partly on the CPU is logged
        as a warning, once for each distinct warning."""
        loaded = _find_entry(await self._ollama.ps(), name)
        if not loaded:
            return None
        placement = placement_of(loaded)
        if placement.warning != self._warned.get(name, ""):
            self._warned[name] = placement.warning
            if placement.warning:
                log.warning("model is not on the GPU", model=name, detail=placement.warning)
        return placement


def remote_host(entry: Mapping[str, Any]) -> str:
    """The remote host of a model of `/api/tags` or `/api/show`; empty if it runs locally."""
    return str(entry.get("remote_host") or entry.get("remote_model") or "")


def _find_entry(models: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next((one for one in models if one.get("name") in (name, f"{name}:latest")), {})


def _joined(names: set[str] | list[str]) -> str:
    return ", ".join(sorted(names)) or "none"
