"""Settings of the Ray Serve deployment, from the environment or `.env`."""

import sys
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

COMMANDS = {"ollama": "ollama serve", "embedded": f"{sys.executable} -m app.embedded"}


class RaySettings(BaseSettings):
    """The settings of the deployment, in addition to those of the server."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True)

    engine: Literal["ollama", "embedded"] = Field(
        "ollama", description="Engine of each replica, as in run_server.sh"
    )
    engine_command: str = Field(
        "", description="Command that replaces the one of ENGINE; {port} is substituted"
    )
    gpus_per_replica: float | None = Field(
        None, ge=0, description="Default: 1 with ENGINE=ollama if the cluster has GPUs, else 0"
    )
    cpus_per_replica: float = Field(1, gt=0, description="CPUs that Ray reserves per replica")
    min_replicas: int = Field(1, ge=1)
    max_replicas: int | None = Field(
        None, ge=1, description="Default: as many as the GPUs allow, else MIN_REPLICAS"
    )
    target_ongoing: float | None = Field(
        None, gt=0, description="Running and waiting requests per replica; default: 2 per slot"
    )
    upscale_delay_s: float = Field(
        10, ge=0, description="Time above TARGET_ONGOING before a replica starts, in seconds"
    )
    downscale_delay_s: float = Field(
        300, ge=0, description="Time below TARGET_ONGOING before a replica stops, in seconds"
    )
    look_back_s: float = Field(
        15, gt=0, description="Window over which requests are averaged, in seconds"
    )
    proxies: Literal["HeadOnly", "EveryNode"] = Field(
        "HeadOnly", description="Nodes with HAProxy; EveryNode needs a load balancer in front"
    )
    dashboard: bool = Field(True, description="Ray's dashboard on 127.0.0.1:8265")

    @property
    def command(self) -> str:
        return self.engine_command or COMMANDS[self.engine]

    def gpus(self, in_cluster: float) -> float:
        """GPUs per replica in a cluster with this many GPUs."""
        if self.gpus_per_replica is not None:
            return self.gpus_per_replica
        return 1.0 if self.engine == "ollama" and in_cluster else 0.0

    def replica_limit(self, in_cluster: float) -> int:
        """Maximum number of replicas in a cluster with this many GPUs."""
        each = self.gpus(in_cluster)
        fitting = int(in_cluster / each) if each else 0
        return self.max_replicas or max(self.min_replicas, fitting)
