"""Many GPUs: a server and an engine of its own on each, under Ray Serve. See README.md here.

Ray reads its settings from the environment when it is imported, and every process of a node takes
them over from the first. So importing this package sets those that the environment does not have.
"""

import os
import tempfile
from pathlib import Path

REPO = Path(__file__).parents[2]
SOCKETS = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir(), f"ray-{os.getuid()}")

SETTINGS = {
    # HAProxy straight to each replica. Ray's own proxy in Python adds 6 ms to the first token of
    # one stream, 42 ms to that of 16, and is full at 211 requests a second.
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    # A replica that stops answering is left out within 2 s, not 10.
    "RAY_SERVE_HAPROXY_HEALTH_CHECK_INTER": "1s",
    # What a replica refuses, or dies over without a word, goes to another: to be asked twice does
    # no harm. Only where HAProxy has all of the request by then (16 kB at most); others are told
    # 503, or a bare 500.
    "RAY_SERVE_HAPROXY_RETRY_ON": "conn-failure empty-response 503",
    "RAY_SERVE_HAPROXY_RETRIES": "2",
    # When replicas come or go HAProxy starts anew, and the old one is killed after this time with
    # what still streams through it: more than REQUEST_TIMEOUT_S, which is 300.
    "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": "330",
    # How long a replica that is to go stays reachable, until HAProxy knows.
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "3",
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "deploy.ray.header_filter:middlewares",
    # HAProxy hands on what a client claims in X-Forwarded-For: nobody is to believe it. RATE_LIMIT
    # is of each key, or else of all clients together.
    "FORWARDED_ALLOW_IPS": "",
    # Ray's own ports run any code of whoever reaches them: only for those who know the token.
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    # The terminal is for the server's lines; Ray Serve's are in its folder.
    "RAY_SERVE_LOG_TO_STDERR": "0",
    # Whoever reaches HAProxy's admin socket rules it, and Ray lets all users: a private folder.
    "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": f"{SOCKETS}/haproxy.cfg",
    "RAY_SERVE_HAPROXY_SOCKET_PATH": f"{SOCKETS}/admin.sock",
    "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": f"{SOCKETS}/metrics.sock",
    "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(SOCKETS),
    "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": f"{SOCKETS}/server-state",
    "PYTHONPATH": str(REPO),  # of every process of the node
}

for _name, _value in SETTINGS.items():
    os.environ.setdefault(_name, _value)
SOCKETS.mkdir(mode=0o700, exist_ok=True)
if SOCKETS.stat().st_uid != os.getuid():
    raise PermissionError(f"{SOCKETS} belongs to another user; remove it.")
