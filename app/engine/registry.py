"""The installed models and their capabilities, as reported by the engine."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from app.engine.ollama import Ollama
from app.errors import ForbiddenModel, InvalidParameter, ModelNotFound
from app.logs import log
from app.models.catalog import described, find, resolve
from app.models.daemon import Daemon
from app.models.gpu import Gpus
from app.models.plan import CacheType, Verdict, judge, plan, plan_context
from app.models.tokens import Estimator, ImageRule, image_rule

FAULTS = ("lost_image", "canary")
FRESH_S = 30.0  # a model may be pulled or replaced at any time; a lookup takes milliseconds


@dataclass(slots=True)
class Observed:
    """Observations from the answers of a model on one version of the daemon.

    holds_at_once: False after the engine failed to enforce a `format` from the first token.
    tags_separate: False after the engine merged images despite tags and text between them.
    faults: number of engine faults, by kind.
    """

    holds_at_once: bool = True
    tags_separate: bool = True
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
    image_rule: ImageRule = field(default_factory=ImageRule)
    estimator: Estimator = field(default_factory=Estimator, compare=False)
    note: str = ""
    digest: str = ""  # of its weights and template
    daemon: Daemon = field(default_factory=Daemon)
    observed: Observed = field(default_factory=Observed, compare=False)

    @property
    def sees(self) -> bool:
        return "vision" in self.capabilities

    @property
    def goes_on(self) -> bool:
        """Whether the model continues an assistant message at the end. Ollama's qwen3vl renderer
        leaves it open (v0.33, model/renderers/qwen3vl.go); other templates close it."""
        return self.thinks or self.family.startswith("qwen3vl")

    @property
    def thinks(self) -> bool:
        return "thinking" in self.capabilities

    @property
    def holds_at_once(self) -> bool:
        """Whether the engine enforces `format` from the first token of this thinking model."""
        return self.thinks and self.daemon.holds_at_once and self.observed.holds_at_once

    @property
    def separation(self) -> Literal["", "tags", "sizes"]:
        """How neighbouring images of equal size are separated; empty if that is not needed."""
        if not self.daemon.fuses:
            return ""
        return "tags" if self.daemon.image_tags and self.observed.tags_separate else "sizes"


@dataclass(frozen=True, slots=True)
class Room:
    """Inputs of the context plan: `num_ctx` as configured (0: not set), else the GPUs and the
    daemon's slots and cache type."""

    num_ctx: int = 0
    gpus: Gpus = field(default_factory=Gpus)
    slots: int = 1
    cache: CacheType = "f16"


class Registry:
    """Looks up models and caches each for `FRESH_S` seconds. Contexts and estimators are kept for
    the lifetime of the server."""

    def __init__(
        self,
        ollama: Ollama,
        default: str,
        allowed: frozenset[str],
        room: Room,
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
        self._room = room
        self._allow_cloud = allow_cloud
        self._on_slots = on_slots
        self._known: dict[str, tuple[float, Model]] = {}
        self._contexts: dict[str, int] = {}
        self._estimators: dict[str, Estimator] = {}
        self._observed: dict[tuple[str, str, str], Observed] = {}
        self._warned: dict[str, str] = {}
        self.one_slot = ""  # why the default model gets fewer slots than configured

    async def find(self, asked: str | None = None, *, fresh: bool = False) -> Model:
        """The model named `asked`; the default model if it is None.

        Raises:
            ModelNotFound: the model is not installed or not allowed.
            ForbiddenModel: the daemon runs it on another machine, and that is not allowed.
            EngineUnavailable: the engine is unreachable.
        """
        name, note = resolve(asked or self._default)
        if self._allowed and name not in self._allowed:
            raise ModelNotFound(f"{name} is not served here. Served: {_listed(self._allowed)}.")
        since, model = self._known.get(name, (0.0, None))
        if model is None or fresh or time.monotonic() - since > FRESH_S:
            model = await self._ask(name, note)
            self._known[name] = (time.monotonic(), model)
        return model

    async def seeing(self, asked: str | None = None, *, fresh: bool = False) -> Model:
        """As `find`, for a vision model. Daemons before 0.30 silently ignore images for any
        other model (docs/OLLAMA_FACTS.md).

        Raises:
            InvalidParameter: the model does not accept images.
        """
        model = await self.find(asked, fresh=fresh)
        if not model.sees:
            able = ", ".join(sorted(model.capabilities)) or "nothing"
            raise InvalidParameter(
                f"{model.name} does not accept images (capabilities: {able}). "
                "Choose a vision model such as qwen3-vl:32b.",
                parameter="model",
            )
        return model

    async def _ask(self, name: str, note: str) -> Model:
        try:
            shown = await self._ollama.show(name)
        except ModelNotFound:
            self._known.pop(name, None)
            installed = [str(tag.get("name")) for tag in await self._ollama.tags()]
            raise ModelNotFound(
                f"{name} is not installed. Installed: {_listed(installed)}. "
                f"Get it with `ollama pull {name}` or `./download_model.sh {name}`.",
                installed=installed,
            ) from None
        info = shown.get("model_info") or {}
        entry = await self.installed(name)
        if not self._allow_cloud and (where := elsewhere(entry) or elsewhere(shown)):
            raise ForbiddenModel(
                f"{name} does not run on this machine: the daemon sends images and text to "
                f"{where}. Choose another model, or set ALLOW_CLOUD_MODELS=true.",
                parameter="model",
            )
        daemon = Daemon(
            await self._ollama.version(), str((shown.get("details") or {}).get("family", ""))
        )
        if name == resolve(self._default)[0]:
            self._tell_slots(daemon)
        if name not in self._contexts:
            self._contexts[name] = self._plan(name, info, int(entry.get("size") or 0))
        return Model(
            name=name,
            capabilities=frozenset(shown.get("capabilities") or ()),
            family=daemon.family,
            num_ctx=self._contexts[name],
            image_rule=image_rule(info, daemon.version),
            daemon=daemon,
            observed=self._observed.setdefault(
                (name, digest := str(entry.get("digest", "")), daemon.version), Observed()
            ),
            estimator=self._estimators.setdefault(name, Estimator(daemon.image_tokens_known)),
            note=note,
            digest=digest,
        )

    def _tell_slots(self, daemon: Daemon) -> None:
        why = daemon.why_one_slot(self._room.slots)
        if why and why != self.one_slot:
            log.warning("one slot", detail=why)
        self.one_slot = why
        self._on_slots(daemon.slots(self._room.slots))

    def faults(self) -> dict[tuple[str, str], int]:
        """The number of engine faults, by model and kind."""
        told: Counter[tuple[str, str]] = Counter()
        for (name, _, _), observed in self._observed.items():
            for kind in FAULTS:
                told[name, kind] += observed.faults[kind]
        return dict(told)

    def _plan(self, name: str, info: Mapping[str, Any], size: int) -> int:
        """The context of a model in tokens. It stays fixed, because a change reloads the model."""
        arch = info.get("general.architecture", "")
        planned = 0
        if self._room.gpus.found:
            entry = find(name) or described(name, size, info)
            gpus = self._room.gpus
            if entry:
                made = plan(
                    entry,
                    gpus.total_bytes,
                    self._room.slots,
                    gpus=len(gpus.found),
                    cache=self._room.cache,
                )
                planned = made.num_ctx
        trained = int(info.get(f"{arch}.context_length", 0))
        return plan_context(self._room.num_ctx, trained, planned)

    async def served(self) -> list[dict[str, Any]]:
        """The `/api/tags` entries of all models that a request may name."""
        return [
            tag
            for tag in await self._ollama.tags()
            if (self._allow_cloud or not elsewhere(tag))
            and (not self._allowed or str(tag.get("name")).removesuffix(":latest") in self._allowed)
        ]

    async def installed(self, name: str) -> dict[str, Any]:
        """The `/api/tags` entry of a model; empty if it is not installed."""
        return _entry(await self._ollama.tags(), name)

    async def placement(self, name: str) -> Verdict | None:
        """Where a model is loaded; None if it is not. A model that is partly on the CPU is logged
        as a warning, once for each distinct warning."""
        loaded = _entry(await self._ollama.ps(), name)
        if not loaded:
            return None
        verdict = judge(loaded)
        if verdict.warning != self._warned.get(name, ""):
            self._warned[name] = verdict.warning
            if verdict.warning:
                log.warning("model is not on the GPU", model=name, detail=verdict.warning)
        return verdict


def elsewhere(entry: Mapping[str, Any]) -> str:
    """The remote host of a model of `/api/tags` or `/api/show`; empty if it runs locally."""
    return str(entry.get("remote_host") or entry.get("remote_model") or "")


def _entry(models: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next((one for one in models if one.get("name") in (name, f"{name}:latest")), {})


def _listed(names: set[str] | list[str]) -> str:
    return ", ".join(sorted(names)) or "none"
