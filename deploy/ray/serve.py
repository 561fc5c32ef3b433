"""The application under Ray Serve, started by `python -m deploy.ray`.

The unit is a server and an engine on one GPU, which share nothing with the next. It is the same
server as `python server.py` runs, with its queue, its keys and its errors; Ray starts as many as
are needed, and HAProxy gives a request to the one with the fewest.
"""

import os
import socket
import time
from contextlib import suppress
from pathlib import Path

import ray
from fastapi import FastAPI
from ray import serve
from ray.serve import Application
from ray.serve._private.constants import RAY_SERVE_ENABLE_HA_PROXY

from app.engine.gate import Gate
from app.main import create_app
from app.settings import Settings, SettingsError, is_loopback, load, require_safe_bind
from deploy.ray.engine import Engine
from deploy.ray.settings import RaySettings

NAME = "qwen3-vl"
FLUSH_S = 0.5
LAST_S = 5.0  # in which those whose engine has ended are told so
OPERATIONS = 32  # probes and scrapes at once, beside the requests that the server's queue takes


@serve.ingress()
class Replica:
    """A server and its engine. When the engine ends by itself the replica ends, too: it would
    refuse at once, so have the fewest requests, and be given all that come."""

    app: FastAPI  # of the wrapper that Ray makes

    async def __init__(  # type: ignore[misc]  # as Ray has it
        self, settings: Settings, command: str
    ) -> None:
        self.engine = Engine(command, settings)
        self.settings = settings.model_copy(update={"ollama_host": self.engine.url})
        await self.engine.start(self._end)

    def __serve_build_asgi_app__(self) -> FastAPI:
        # Made here: an application cannot be sent from one process to another.
        return create_app(self.settings)

    async def check_health(self) -> None:
        """Asked by Ray every other second; the third that raises in a row ends the replica."""
        await self.engine.check()

    def _end(self) -> None:
        """Those in hand are told why and no more are taken; then HAProxy goes elsewhere."""
        deadline = time.monotonic() + LAST_S
        gate: Gate = self.app.state.line.gate
        gate.draining = True
        _stop_listening()
        time.sleep(FLUSH_S)
        while (gate.running or gate.waiting) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(FLUSH_S)
        os._exit(1)

    async def __del__(self) -> None:
        await self.engine.stop()


def _stop_listening() -> None:
    """On every port of this process, which is about to end: who cannot connect is sent elsewhere
    by HAProxy, who is cut off while it asks is not. (Ray keeps the server's sockets to itself.)"""
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError), socket.socket(fileno=os.dup(int(descriptor.name))) as found:
            if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                found.shutdown(socket.SHUT_RDWR)


def app() -> Application:
    """The application, from the environment; there is a cluster already.

    Raises:
        SettingsError: the settings are invalid, or serve other machines without an API key.
    """
    settings, ray_settings = load(Settings), load(RaySettings)
    if ray_settings.engine == "embedded" and "model_name" not in settings.model_fields_set:
        settings = settings.model_copy(update={"model_name": "embedded"})
    require_safe_bind(settings)
    if not RAY_SERVE_ENABLE_HA_PROXY:
        raise SettingsError(
            "Ray was imported before deploy.ray: start it with `python -m deploy.ray`."
        )
    if is_loopback(settings.host) and len(ray.nodes()) > 1:
        raise SettingsError(
            f"HOST={settings.host} does not reach the replicas on other nodes: set HOST=0.0.0.0 "
            "and API_KEY."
        )
    return deployment(settings, ray_settings, ray.cluster_resources().get("GPU", 0.0))


def deployment(settings: Settings, ray_settings: RaySettings, gpus: float) -> Application:
    """What Ray is told, where the cluster has so many GPUs."""
    # The keys go as an argument: Ray shows an environment to whoever sees its dashboard.
    return serve.deployment(
        name=NAME,
        ray_actor_options={
            "num_gpus": ray_settings.gpus(gpus),
            "num_cpus": ray_settings.cpus_per_replica,
        },
        # The server's own queue refuses first: 429, with Retry-After and a sentence.
        max_ongoing_requests=settings.num_parallel + settings.max_queue + OPERATIONS,
        autoscaling_config={
            "min_replicas": ray_settings.min_replicas,
            "max_replicas": ray_settings.replica_limit(gpus),
            "target_ongoing_requests": ray_settings.target_ongoing or 2 * settings.num_parallel,
            "upscale_delay_s": ray_settings.upscale_delay_s,
            "downscale_delay_s": ray_settings.downscale_delay_s,
            "look_back_period_s": ray_settings.look_back_s,
            # Called deprecated, but the variable that is to replace it is read by nobody yet.
            "metrics_interval_s": 1,
        },
        health_check_period_s=2,
        health_check_timeout_s=10,
        graceful_shutdown_timeout_s=settings.drain_timeout_s,
        graceful_shutdown_wait_loop_s=0.2,
        max_constructor_retry_count=3,
    )(Replica).bind(settings, ray_settings.command)
