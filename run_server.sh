#!/usr/bin/env bash
# Start the engine, unless one is running, and the server. Ctrl-C stops both. An engine that exits by
# itself is restarted after 1, 2, 4 ... 30 s; if the server exits, so does this script.
#
#   ./run_server.sh                  serve until Ctrl-C
#   ./run_server.sh -- COMMAND ...   serve, run COMMAND with SERVER_URL and API_KEY, then stop
#   ./run_server.sh --engine-url     print the URL of the engine, from OLLAMA_HOST
#   ./run_server.sh --probe          print the version of the engine there; fails if none answers
#   ./run_server.sh --engine         print the engine it would use: ollama or embedded
#   ./run_server.sh --setting NAME DEFAULT
#
# Settings come from the environment, else from .env: HOST, PORT, OLLAMA_HOST, MODEL_NAME (see
# README.md) and
#   ENGINE            ollama or embedded; default: the choice of quick_start.sh, else what is found
#   READY_TIMEOUT_S   time for the server to be ready, else this script exits: 300 with COMMAND,
#                     without COMMAND no limit
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

logs=.cache/logs
engine_pid='' server_pid='' tail_pid='' command_pid=''
engine_pause=1 engine_started=0 engine_due='' # seconds; due: when an engine that exited is restarted
stopped_by='' # the signal that ended this script

say() { printf '%s\n' "$*" || true; } # also where nobody reads any more
die() {
    printf '%s\n' "$*" >&2
    exit 1
}
alive() { kill -0 "$1" 2>/dev/null; }
nap() { # can be interrupted, unlike a sleep in the foreground
    sleep "$1" &
    wait $! || true
}

setting() { # NAME DEFAULT: from the environment, else from .env, else DEFAULT
    local value=${!1:-}
    if [ -z "$value" ] && [ -f .env ]; then
        value=$(sed -n "s/^[[:space:]]*\(export \)\{0,1\}$1[[:space:]]*=[[:space:]]*//p" .env | tail -n 1)
        value=${value%$'\r'}
        value=${value%%[[:space:]]#*}
        value=${value#[\"\']}
        value=${value%[\"\']}
    fi
    printf '%s\n' "${value:-$2}"
}

engine_url() { # where a client reaches the engine, from OLLAMA_HOST
    "$python" -m app.ollama_host "$(setting OLLAMA_HOST '')"
}

# In Python, because curl may be missing; without a proxy, because the addresses are local.
ask() { # URL KEY: the value of KEY in the JSON that URL answers; fails unless the status is 200
    "$python" - "$1" "$2" <<'PY' 2>/dev/null
import json, sys, urllib.error, urllib.request
url, key = sys.argv[1:]
try:
    answer = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5)
except urllib.error.HTTPError as error:
    answer = error
print(json.load(answer).get(key, ""))
sys.exit(answer.status != 200)
PY
}
port_is_free() { # HOST PORT
    "$python" - "$1" "$2" <<'PY' 2>/dev/null
import socket, sys
host, port = sys.argv[1:]
family = socket.AF_INET6 if ":" in host else socket.AF_INET
with socket.socket(family) as probe:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind((host, int(port)))
PY
}
free_port() { # outside the ephemeral range, so that a restarted engine gets it again
    "$python" - <<'PY'
import socket
for port in range(11435, 13000):
    try:
        socket.create_server(("127.0.0.1", port)).close()
        break
    except OSError:
        pass
print(port)
PY
}

choose_engine() { # sets $engine and its $url
    url=$(engine_url)
    engine=$(setting ENGINE '')
    # The choice of quick_start.sh holds until another engine or model is set.
    if [ -z "$engine" ] && [ -f .cache/engine ] && [ -z "$(setting OLLAMA_HOST '')" ]; then
        read -r engine <.cache/engine || true
        case $engine:$(setting MODEL_NAME embedded) in
            embedded:embedded | ollama:*) ;;
            *) engine='' ;;
        esac
    fi
    if [ -z "$engine" ]; then
        engine=ollama
        case $(ask "$url/api/version" version || true) in
            *embedded*) engine=embedded ;;
            '') command -v ollama >/dev/null || engine=embedded ;;
        esac
    fi
    case $engine in
        ollama | embedded) ;;
        *) die "ENGINE is '$engine'; it must be ollama or embedded." ;;
    esac
}

start_engine() {
    local version='' address
    # An embedded engine that OLLAMA_HOST does not name belongs to another server and ends with it.
    if [ "$engine" = ollama ] || [ -n "$(setting OLLAMA_HOST '')" ]; then
        version=$(ask "$url/api/version" version || true)
    fi
    if [ "$engine" = embedded ]; then
        MODEL_NAME=$(setting MODEL_NAME embedded)
        export MODEL_NAME
        address=${url#*://}
        case $version in
            *embedded*) ;;
            *) # not an embedded engine, or another machine: use another port
                version=''
                port_is_free "${address%:*}" "${address##*:}" || url=http://127.0.0.1:$(free_port)
                ;;
        esac
    fi
    export OLLAMA_HOST=$url
    if [ -n "$version" ]; then
        say "Using the engine at $url (version $version)."
        return
    fi
    case $url in
        http://127.* | http://localhost:* | http://\[::1\]:*) ;;
        *) die "No engine answers at $url. Start Ollama there, or correct OLLAMA_HOST." ;;
    esac
    if [ "$engine" = ollama ]; then
        command -v ollama >/dev/null || die "No Ollama answers at $url and there is no 'ollama'" \
            "command. Install it from https://ollama.com/download, or run ./quick_start.sh."
        # An 8-bit cache holds twice the context in the same memory. The server plans with it.
        export OLLAMA_FLASH_ATTENTION=${OLLAMA_FLASH_ATTENTION:-1}
        export OLLAMA_KV_CACHE_TYPE=${OLLAMA_KV_CACHE_TYPE:-q8_0}
    fi
    : >"$engine_log"
    launch_engine
    await_engine "$url"
}

launch_engine() {
    local command=(ollama serve)
    [ "$engine" = ollama ] || command=("$python" -m app.embedded)
    set -m # its own process group: Ctrl-C reaches only this script, which stops the server first
    OLLAMA_HOST=${OLLAMA_HOST#http://} "${command[@]}" >>"$engine_log" 2>&1 &
    engine_pid=$!
    set +m
    engine_started=$SECONDS engine_due=''
}

keep_engine() { # restart an engine that exited, after a pause
    local status=0
    if [ -n "$engine_due" ]; then
        [ $SECONDS -lt "$engine_due" ] || launch_engine
    elif [ -z "$engine_pid" ]; then
        return # not started by this script
    elif alive "$engine_pid"; then
        [ $((SECONDS - engine_started)) -lt 60 ] || engine_pause=1
    else
        wait "$engine_pid" 2>/dev/null || status=$?
        kill -KILL -- "-$engine_pid" 2>/dev/null || true # Ollama's runners hold GPU memory
        say "The engine exited with status $status. It is restarted in $engine_pause s" \
            "(log: $engine_log)."
        engine_pid='' engine_due=$((SECONDS + engine_pause))
        engine_pause=$((engine_pause < 15 ? engine_pause * 2 : 30))
    fi
}

await_engine() { # URL
    local deadline=$((SECONDS + 60))
    say "Starting the $engine engine at $1 ..."
    until ask "$1/api/version" version >/dev/null; do
        alive "$engine_pid" || died engine "$engine_pid" "$engine_log"
        [ $SECONDS -lt $deadline ] || die "The $engine engine does not answer after 60 s; see $engine_log."
        nap 0.2
    done
}

start_server() {
    port_is_free "$host" "$port" ||
        die "Port $port on $host cannot be used. Choose another: PORT=$((port + 1)) ./run_server.sh"
    say "Starting the server at $SERVER_URL ..."
    : >"$server_log" # before tail follows it
    set -m
    HOST=$host PORT=$port "$python" server.py >"$server_log" 2>&1 &
    server_pid=$!
    set +m
}

await_ready() { # [SECONDS]: exit after that time; default: no limit
    local deadline=$((SECONDS + ${1:-0})) reason last=''
    until reason=$(ask "$SERVER_URL/ready" detail); do
        check
        if [ -n "$reason" ] && [ "$reason" != "$last" ]; then
            say "Not ready: $reason"
            last=$reason
        fi
        if [ -n "${1:-}" ]; then
            # Waiting does not help if the model is missing.
            [ -z "$reason" ] || [ "$(ask "$SERVER_URL/ready" reason)" != model_not_found ] || exit 1
            [ $SECONDS -lt $deadline ] || die "The server was not ready after $1 s; see $server_log."
        fi
        nap 0.3
    done
    say "Ready: $SERVER_URL (logs in $logs)"
}

check() { # exits if the server has exited
    alive "$server_pid" || died server "$server_pid" "$server_log"
    keep_engine
}

died() { # WHICH PID LOG
    local status=0
    wait "$2" || status=$?
    {
        say "The $1 exited with status $status. The end of its log, $3:"
        tail -n 15 "$3" | sed 's/^/    /'
    } >&2
    [ "$1" = engine ] && status=1 # also if the engine exits with 0
    exit "$status"
}

end() { # PID TIMER [TIMER]: terminate it; kill its group after a timer or a second Ctrl-C
    local status=0
    [ -n "$1" ] || return 0
    kill -TERM "$1" 2>/dev/null || true
    while alive "$1" && alive "$2" && alive "${3:-$2}" && [ -z "$hurry" ]; do
        sleep 0.05
    done
    kill -KILL "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || status=$?
    kill -KILL -- "-$1" 2>/dev/null || true
    return "$status"
}

stop_all() { # the trap of EXIT: within DRAIN_TIMEOUT_S + 2 s
    local status=$? server_status=0 all short long
    hurry=''
    trap 'hurry=1' INT TERM HUP
    [ -z "$stopped_by" ] || say "Stopping ($stopped_by) ..."
    sleep "$(setting DRAIN_TIMEOUT_S 120 | awk '{ print $1 + 1.6 }')" &
    all=$!
    sleep 1 &
    short=$!
    end "$command_pid" "$short" || true
    end "$server_pid" "$all" || server_status=$? # it finishes its running requests
    sleep 10 &
    long=$!
    end "$engine_pid" "$all" "$long" || true
    end "$tail_pid" "$all" || true
    { kill "$all" "$short" "$long"; wait; } 2>/dev/null || true
    [ -z "$stopped_by" ] || [ -z "$server_pid" ] || status=$server_status
    exit "$status"
}

run_command() { # COMMAND ...: exits with its status
    local status=0 keys
    await_ready "${READY_TIMEOUT_S:-300}"
    keys=$(setting API_KEYS "$(setting API_KEY '')")
    API_KEY=${keys%%,*} "$@" &
    command_pid=$!
    while alive "$command_pid"; do
        check
        nap 0.2
    done
    wait "$command_pid" || status=$?
    command_pid=''
    [ $status = 0 ] || check
    exit "$status"
}

serve() {
    tail -n +1 -f "$server_log" &
    tail_pid=$!
    await_ready "${READY_TIMEOUT_S:-}"
    while :; do
        check
        nap 0.5
    done
}

python=.venv/bin/python
[ -x "$python" ] || python=python3
case ${1:-} in
    --engine-url)
        engine_url
        exit
        ;;
    --engine)
        choose_engine
        say "$engine"
        exit
        ;;
    --setting)
        setting "$2" "${3:-}"
        exit
        ;;
    --probe)
        ask "$(engine_url)/api/version" version
        exit
        ;;
    --)
        shift
        [ $# -gt 0 ] || die "Name a command after --."
        ;;
    '') ;;
    *) die "Unknown argument $1. Usage: ./run_server.sh [-- COMMAND ...]" ;;
esac

"$python" -c 'import importlib.util, sys; sys.exit(not importlib.util.find_spec("fastapi"))' ||
    die "The server's packages are not installed. Run ./quick_start.sh once."
host=$(setting HOST 127.0.0.1) port=$(setting PORT 8000)
case $host in
    0.0.0.0 | ::) SERVER_URL=http://127.0.0.1:$port ;;
    *:*) SERVER_URL=http://[$host]:$port ;;
    *) SERVER_URL=http://$host:$port ;;
esac
export SERVER_URL PYTHONUNBUFFERED=1
mkdir -p "$logs"
name=$port
[ $# = 0 ] || name=once # quick_start.sh uses a new port each time
engine_log=$logs/engine-$name.log server_log=$logs/server-$name.log

trap '' PIPE # it serves on where nobody reads its output any more
trap stop_all EXIT
trap 'stopped_by=SIGINT; exit 130' INT
trap 'stopped_by=SIGTERM; exit 143' TERM
trap 'stopped_by=SIGHUP; exit 129' HUP
choose_engine
start_engine
start_server
if [ $# -gt 0 ]; then run_command "$@"; else serve; fi
