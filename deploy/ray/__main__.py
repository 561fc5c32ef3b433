"""Serve on all GPUs of one machine, until Ctrl-C:

    python -m deploy.ray

Serve on a cluster: start each node, the first with --head, then deploy from one of them:

    python -m deploy.ray start --head --port=6379
    python -m deploy.ray start --address=HEAD:6379
    RAY_ADDRESS=HEAD:6379 python -m deploy.ray          deploys the application, or replaces it
    RAY_ADDRESS=HEAD:6379 python -m deploy.ray delete   removes it; running requests are finished
"""

import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import ray
from ray import serve

from app.settings import Settings, SettingsError, load
from deploy.ray import SOCKETS
from deploy.ray.serve import NAME, app
from deploy.ray.settings import RaySettings


def main() -> None:
    """Run the command that the arguments name."""
    try:
        command()
    except SettingsError as error:
        sys.exit(str(error))


def command() -> None:
    """Run what the command line names."""
    in_cluster = "RAY_ADDRESS" in os.environ
    match sys.argv[1:]:
        case [] if in_cluster:
            ray.init()
            run()
        case ["delete"] if in_cluster:
            ray.init()
            serve.delete(NAME)
        case ["start", *options]:
            # With the settings of this package, which the processes of the node inherit.
            program = str(Path(sys.executable).with_name("ray"))
            safe = ("--dashboard-host=127.0.0.1", "--disable-usage-stats")
            os.execv(program, ["ray", "start", *safe, *options])  # noqa: S606 - no shell is meant
        case []:
            alone()
        case _:
            sys.exit(__doc__)


def alone() -> None:
    """Run a private cluster that ends with this process."""
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    over = threading.Event()
    try:
        ray.init(
            address="local",
            _temp_dir=str(folder / "ray"),  # which Ray opens to all users; its parent is private
            include_dashboard=load(RaySettings).dashboard,
            dashboard_host="127.0.0.1",
            logging_level="WARNING",
        )
        for number in (signal.SIGINT, signal.SIGTERM):  # after Ray has set its own handlers
            signal.signal(number, lambda *_: over.set())
        run()
        over.wait()
        print("Stopping: finishing the running requests ...", flush=True)
    finally:
        if ray.is_initialized():
            sockets = SOCKETS / ray.get_runtime_context().get_node_id()
            serve.delete(NAME)  # first: HAProxy must run until the replicas have finished
            serve.shutdown()
            ray.shutdown()
            _remove(sockets)
        _remove(folder)


def run() -> None:
    """Start or replace the application; return when it answers."""
    settings, ray_settings = load(Settings), load(RaySettings)
    application = app()
    options = {"host": settings.host, "port": settings.port}
    serve.start(proxy_location=ray_settings.proxies, http_options=options)
    try:
        serve.run(application, name=NAME, route_prefix="/")
    except RuntimeError:  # its text does not say why
        message = serve.status().applications[NAME].deployments[NAME].message
        sys.exit(message.rpartition("RuntimeError: ")[2].strip())
    address = ray.get_runtime_context().gcs_address
    print(f"Ready: http://{settings.host}:{settings.port} (RAY_ADDRESS={address})", flush=True)


def _remove(folder: Path) -> None:
    """Remove a folder; Ray's processes may write into it until they exit."""
    for _ in range(50):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)


if __name__ == "__main__":
    main()
