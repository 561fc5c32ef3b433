"""The Ray Serve application, started by `python -m deploy.ray`.

A replica is a server and an engine on one GPU; replicas share nothing. The server is the one that
`python server.py` runs, with its queue, keys and errors. Ray scales the number of replicas, and
HAProxy sends a request to the replica with the fewest requests.
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

from app.engine.scheduler import Scheduler
from app.main import create_app
from app.settings import Settings, SettingsError, is_loopback, load, require_safe_bind
from deploy.ray.engine import Engine
from deploy.ray.settings import RaySettings

NAME = "qwen3-vl"
FLUSH_S = 0.5
LAST_S = 5.0  # for error responses to the requests of an engine that has exited
OPERATIONS = 32  # concurrent probes and scrapes, in addition to the server's queue


@serve.ingress()
class Replica:
    """A server and its engine.

    When the engine exits, the replica exits, too. It would refuse requests at once, have the fewest
    of all replicas, and so receive all new ones.
    """

    app: FastAPI  # set by Ray's wrapper

    async def __init__(  # type: ignore[misc]  # Ray's protocol
        self, settings: Settings, command: str
    ) -> None:
        self.engine = Engine(command, settings)
        self.settings = settings.model_copy(update={"ollama_host": self.engine.url})
        await self.engine.start(self._end)

    def __serve_build_asgi_app__(self) -> FastAPI:
        # Created here because an application cannot be pickled.
        return create_app(self.settings)

    async def check_health(self) -> None:
        """Called by Ray every 2 s; three errors in a row end the replica."""
        await self.engine.check()

    def _end(self) -> None:
        """Refuse new requests, let running ones get their error, then exit."""
        deadline = time.monotonic() + LAST_S
        scheduler: Scheduler = self.app.state.pipeline.scheduler
        scheduler.draining = True
        _stop_listening()
        time.sleep(FLUSH_S)
        while (scheduler.running or scheduler.waiting) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(FLUSH_S)
        os._exit(1)

    async def __del__(self) -> None:
        await self.engine.stop()


def _stop_listening() -> None:
    """Shut down all listening sockets of this process, which is about to exit.

    HAProxy retries a refused connection on another replica, but not a broken one. Ray does not
    expose the sockets, so they are found in /proc.
    """
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError), socket.socket(fileno=os.dup(int(descriptor.name))) as found:
            if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                found.shutdown(socket.SHUT_RDWR)


def app() -> Application:
    """The application, from the environment; Ray is initialized.

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
    """The deployment for a cluster with this many GPUs."""
    # The keys are an argument: Ray's dashboard shows environment variables.
    return serve.deployment(
        name=NAME,
        ray_actor_options={
            "num_gpus": ray_settings.gpus(gpus),
            "num_cpus": ray_settings.cpus_per_replica,
        },
        # The server's own queue refuses first, with 429 and Retry-After.
        max_ongoing_requests=settings.num_parallel + settings.max_queue + OPERATIONS,
        autoscaling_config={
            "min_replicas": ray_settings.min_replicas,
            "max_replicas": ray_settings.replica_limit(gpus),
            "target_ongoing_requests": ray_settings.target_ongoing or 2 * settings.num_parallel,
            "upscale_delay_s": ray_settings.upscale_delay_s,
            "downscale_delay_s": ray_settings.downscale_delay_s,
            "look_back_period_s": ray_settings.look_back_s,
            # Deprecated, but Ray does not read the variable that replaces it yet.
            "metrics_interval_s": 1,
        },
        health_check_period_s=2,
        health_check_timeout_s=10,
        graceful_shutdown_timeout_s=settings.drain_timeout_s,
        graceful_shutdown_wait_loop_s=0.2,
        max_constructor_retry_count=3,
    )(Replica).bind(settings, ray_settings.command)
