"""Ray Serve deployment for several GPUs: one server and one engine on each. See README.md here.

Ray reads its settings from the environment when it is imported, and the processes of a node inherit
them. Importing this package sets those that the environment does not define.
"""

import os
import tempfile
from pathlib import Path

REPO = Path(__file__).parents[2]
SOCKETS = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir(), f"ray-{os.getuid()}")

SETTINGS = {
    # HAProxy connects to each replica directly. Ray's own proxy in Python adds 6 ms to the first
    # token with one stream and 42 ms with 16, and saturates at 211 requests/s.
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    # A replica that does not answer is removed within 2 s instead of 10.
    "RAY_SERVE_HAPROXY_HEALTH_CHECK_INTER": "1s",
    # A request that a replica refuses, or drops without a response, is retried on another: requests
    # are idempotent. HAProxy can do so only if it holds the whole request (at most 16 kB); others
    # get 503, or a bare 500.
    "RAY_SERVE_HAPROXY_RETRY_ON": "conn-failure empty-response 503",
    "RAY_SERVE_HAPROXY_RETRIES": "2",
    # HAProxy is restarted when replicas come or go. After this time the old process is killed with
    # the streams it still carries: it must exceed REQUEST_TIMEOUT_S, which is 300.
    "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": "330",
    # How long a replica that is removed stays reachable, until HAProxy has the new list.
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "3",
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "deploy.ray.header_filter:middlewares",
    # HAProxy forwards X-Forwarded-For from the client, which must not be trusted. RATE_LIMIT is per
    # key, or without keys for all clients together.
    "FORWARDED_ALLOW_IPS": "",
    # Ray's ports execute any code they are sent: only with the token.
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    # The terminal shows the server's log; Ray Serve's logs are in its folder.
    "RAY_SERVE_LOG_TO_STDERR": "0",
    # HAProxy's admin socket gives full control, and Ray opens it to all users: a private folder.
    "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": f"{SOCKETS}/haproxy.cfg",
    "RAY_SERVE_HAPROXY_SOCKET_PATH": f"{SOCKETS}/admin.sock",
    "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": f"{SOCKETS}/metrics.sock",
    "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(SOCKETS),
    "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": f"{SOCKETS}/server-state",
    "PYTHONPATH": str(REPO),  # for every process of the node
}

for _name, _value in SETTINGS.items():
    os.environ.setdefault(_name, _value)
SOCKETS.mkdir(mode=0o700, exist_ok=True)
if SOCKETS.stat().st_uid != os.getuid():
    raise PermissionError(f"{SOCKETS} belongs to another user; remove it.")
