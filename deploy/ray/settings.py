"""How many replicas, on what, and when there are to be more: environment variables or `.env`."""

import sys
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

COMMANDS = {"ollama": "ollama serve", "embedded": f"{sys.executable} -m app.embedded"}


class RaySettings(BaseSettings):
    """What is said here beside the settings of the server."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True)

    engine: Literal["ollama", "embedded"] = Field("ollama", description="As run_server.sh has it")
    engine_command: str = Field("", description="Another than that of ENGINE; {port} is replaced")
    gpus_per_replica: float | None = Field(
        None, ge=0, description="Unset: 1 with ENGINE=ollama where there are GPUs, else 0"
    )
    cpus_per_replica: float = Field(1, gt=0, description="Of those that Ray may give away")
    min_replicas: int = Field(1, ge=1)
    max_replicas: int | None = Field(
        None, ge=1, description="Unset: what the GPUs are enough for, else MIN_REPLICAS"
    )
    target_ongoing: float | None = Field(
        None, gt=0, description="Requests, running and waiting, a replica; unset: 2 a slot"
    )
    upscale_delay_s: float = Field(10, ge=0, description="How long it must be more")
    downscale_delay_s: float = Field(300, ge=0, description="How long it must be less")
    look_back_s: float = Field(15, gt=0, description="What the requests are averaged over")
    proxies: Literal["HeadOnly", "EveryNode"] = Field(
        "HeadOnly", description="Where HAProxy listens; EveryNode wants a balancer before it"
    )
    dashboard: bool = Field(True, description="Ray's, on 127.0.0.1:8265")

    @property
    def command(self) -> str:
        return self.engine_command or COMMANDS[self.engine]

    def gpus(self, in_cluster: float) -> float:
        """GPUs a replica, where the cluster has so many."""
        if self.gpus_per_replica is not None:
            return self.gpus_per_replica
        return 1.0 if self.engine == "ollama" and in_cluster else 0.0

    def replica_limit(self, in_cluster: float) -> int:
        """The most replicas, where the cluster has so many GPUs."""
        each = self.gpus(in_cluster)
        fitting = int(in_cluster / each) if each else 0
        return self.max_replicas or max(self.min_replicas, fitting)
