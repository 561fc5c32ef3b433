"""Which models are installed, and what each can do, as the engine tells it."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.engine.ollama import Ollama
from app.errors import InvalidParameter, ModelNotFound
from app.logs import log
from app.models.catalog import described, find, resolve
from app.models.gpu import Gpus
from app.models.plan import CacheType, Verdict, judge, plan, plan_context
from app.models.tokens import Estimator, ImageRule, image_rule

THINKS_FREELY = (0, 12, 4)  # Ollama's version (pull request 12460)
FRESH_S = 30.0  # a model can be pulled or replaced at any time; asking costs milliseconds


@dataclass(frozen=True, slots=True)
class Model:
    """One installed model. `estimator` learns what its prompts cost, for as long as the server
    lives; `note` says how its name was understood, where that is not plain."""

    name: str
    capabilities: frozenset[str]
    family: str
    num_ctx: int
    image_rule: ImageRule = field(default_factory=ImageRule)
    estimator: Estimator = field(default_factory=Estimator, compare=False)
    note: str = ""
    digest: str = ""  # of its weights and template
    thinks_freely: bool = False  # a `format` begins to hold where its thoughts end

    @property
    def sees(self) -> bool:
        return "vision" in self.capabilities

    @property
    def goes_on(self) -> bool:
        """Whether an assistant turn at the end is gone on with: Ollama's qwen3vl renderer leaves
        it open (v0.33, model/renderers/qwen3vl.go); other templates close it."""
        return self.thinks or self.family.startswith("qwen3vl")

    @property
    def thinks(self) -> bool:
        return "thinking" in self.capabilities


@dataclass(frozen=True, slots=True)
class Room:
    """What the context of a model is planned from: the user's own choice (0 for none), else the
    GPUs and how the daemon uses them."""

    num_ctx: int = 0
    gpus: Gpus = field(default_factory=Gpus)
    slots: int = 1
    cache: CacheType = "f16"


class Registry:
    """Looks models up, and remembers each for `FRESH_S` seconds; its context and what was learnt
    of its prompts for as long as the server lives."""

    def __init__(self, ollama: Ollama, default: str, allowed: frozenset[str], room: Room) -> None:
        self._ollama = ollama
        self._default = default
        self._allowed = {resolve(name)[0] for name in allowed | {default}} if allowed else set()
        self._room = room
        self._known: dict[str, tuple[float, Model]] = {}
        self._contexts: dict[str, int] = {}
        self._estimators: dict[str, Estimator] = {}
        self._warned: dict[str, str] = {}

    async def find(self, asked: str | None = None, *, fresh: bool = False) -> Model:
        """The model that `asked` means; the default where it is None.

        Raises:
            ModelNotFound: it is not installed here, or not allowed.
            EngineUnavailable: nobody answers.
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
        """As `find`, for a model that can see: an image to one that cannot is ignored by the
        daemon without a word (findings).

        Raises:
            InvalidParameter: the model takes no images.
        """
        model = await self.find(asked, fresh=fresh)
        if not model.sees:
            able = ", ".join(sorted(model.capabilities)) or "nothing"
            raise InvalidParameter(
                f"{model.name} cannot see (its capabilities: {able}). "
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
        version = await self._ollama.version()
        if name not in self._contexts:
            self._contexts[name] = self._plan(name, info, int(entry.get("size") or 0))
        return Model(
            name=name,
            capabilities=frozenset(shown.get("capabilities") or ()),
            family=str((shown.get("details") or {}).get("family", "")),
            num_ctx=self._contexts[name],
            image_rule=image_rule(info, version),
            thinks_freely=_numbers(version) >= THINKS_FREELY,
            estimator=self._estimators.setdefault(name, Estimator()),
            note=note,
            digest=str(entry.get("digest", "")),
        )

    def _plan(self, name: str, info: Mapping[str, Any], size: int) -> int:
        """The context of a model, decided once: another one later would load it anew."""
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
        """The entries of `/api/tags` of all models that a request may name."""
        return [
            tag
            for tag in await self._ollama.tags()
            if not self._allowed or str(tag.get("name")).removesuffix(":latest") in self._allowed
        ]

    async def installed(self, name: str) -> dict[str, Any]:
        """The entry of `/api/tags` for a model; empty where it is not there."""
        return _entry(await self._ollama.tags(), name)

    async def placement(self, name: str) -> Verdict | None:
        """Where a model is loaded, None where it is not. One that is partly on the CPU is a loud
        line in the log, once for each way it is so."""
        loaded = _entry(await self._ollama.ps(), name)
        if not loaded:
            return None
        verdict = judge(loaded)
        if verdict.warning != self._warned.get(name, ""):
            self._warned[name] = verdict.warning
            if verdict.warning:
                log.warning("model is not on the GPU", model=name, detail=verdict.warning)
        return verdict


def _numbers(version: str) -> tuple[int, ...]:
    """`0.12.7-rc1` -> (0, 12, 7)."""
    return tuple(map(int, re.findall(r"\d+", version.partition("-")[0])))


def _entry(models: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next((one for one in models if one.get("name") in (name, f"{name}:latest")), {})


def _listed(names: set[str] | list[str]) -> str:
    return ", ".join(sorted(names)) or "none"
