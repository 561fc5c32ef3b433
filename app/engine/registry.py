"""Which models are installed, and what each can do, as the engine tells it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.engine.ollama import Ollama
from app.errors import InvalidParameter, ModelNotFound
from app.models.catalog import resolve
from app.models.plan import plan_context
from app.models.tokens import Estimator, ImageRule, image_rule

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

    @property
    def sees(self) -> bool:
        return "vision" in self.capabilities

    @property
    def thinks(self) -> bool:
        return "thinking" in self.capabilities


def _from_show(
    name: str,
    shown: Mapping[str, Any],
    *,
    version: str,
    num_ctx: int,
    estimator: Estimator,
    note: str,
) -> Model:
    info = shown.get("model_info") or {}
    arch = info.get("general.architecture", "")
    return Model(
        name=name,
        capabilities=frozenset(shown.get("capabilities") or ()),
        family=str((shown.get("details") or {}).get("family", "")),
        num_ctx=plan_context(num_ctx, int(info.get(f"{arch}.context_length", 0))),
        image_rule=image_rule(info, version),
        estimator=estimator,
        note=note,
    )


class Registry:
    """Looks models up, and remembers each for `FRESH_S` seconds."""

    def __init__(self, ollama: Ollama, default: str, allowed: frozenset[str], num_ctx: int) -> None:
        self._ollama = ollama
        self._default = default
        self._allowed = {resolve(name)[0] for name in allowed | {default}} if allowed else set()
        self._num_ctx = num_ctx
        self._known: dict[str, tuple[float, Model]] = {}
        self._estimators: dict[str, Estimator] = {}

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
        return _from_show(
            name,
            shown,
            version=await self._ollama.version(),
            num_ctx=self._num_ctx,
            estimator=self._estimators.setdefault(name, Estimator()),
            note=note,
        )


def _listed(names: set[str] | list[str]) -> str:
    return ", ".join(sorted(names)) or "none"
