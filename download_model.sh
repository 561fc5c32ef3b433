#!/usr/bin/env bash
# Download a model into Ollama and check that it supports images.
#
#   ./download_model.sh [TAG]     default: MODEL_NAME, else qwen3-vl:32b (21 GB)
#
# Run it again after an interruption: Ollama resumes the download. A daemon at OLLAMA_HOST is used;
# if none answers, the installed one is started for the time of the download.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

serve_pid=''

say() { printf '%s\n' "$*"; }
die() {
    printf '%s\n' "$*" >&2
    exit 1
}
stop_serving() {
    [ -n "$serve_pid" ] || return 0
    kill -TERM "$serve_pid" 2>/dev/null || true
    wait "$serve_pid" 2>/dev/null || true
}

api() { # COMMAND ...: one call of Ollama's HTTP API; messages for the user go to stderr
    python3 -m app.models.pull "$url" "$@"
}

resolve() { # NAME: sets $tag and $bytes (0 if the size is unknown)
    local line note
    tag=$1 bytes=0
    if line=$(python3 -m app.models.catalog "$1" 2>/dev/null); then
        IFS=$'\t' read -r tag bytes note <<<"$line"
        [ -z "$note" ] || say "Note: $note."
    fi
}

await_daemon() { # starts the installed daemon if none answers
    local tries=100
    api version >/dev/null 2>&1 && return
    case $url in
        http://127.* | http://localhost:* | http://\[::1\]:*) ;;
        *) die "No engine answers at $url. Start Ollama there, or correct OLLAMA_HOST." ;;
    esac
    command -v ollama >/dev/null ||
        die "Ollama is not installed. Get it from https://ollama.com/download and run this again."
    say "Starting Ollama for the download ..."
    mkdir -p .cache/logs
    OLLAMA_HOST=${url#http://} ollama serve >.cache/logs/ollama-pull.log 2>&1 &
    serve_pid=$!
    until api version >/dev/null 2>&1; do
        tries=$((tries - 1))
        kill -0 "$serve_pid" 2>/dev/null && [ $tries -gt 0 ] ||
            die "'ollama serve' does not start: $(tail -n 1 .cache/logs/ollama-pull.log)"
        sleep 0.2
    done
}

check_version() {
    local version needed=0.12.7
    version=$(api version)
    case $tag in
        qwen3-vl*) api at-least "$version" $needed ||
            die "Ollama at $url is $version; qwen3-vl needs $needed or newer." \
                "Update it from https://ollama.com/download and run this again." ;;
    esac
}

models_folder() { # the folder of the daemon's models, or its nearest existing parent
    local folder=${OLLAMA_MODELS:-${HOME:-/root}/.ollama/models}
    # the folder that Ollama's installer creates for the service
    [ -n "${OLLAMA_MODELS:-}" ] || [ -n "$serve_pid" ] || [ ! -d /usr/share/ollama/.ollama ] ||
        folder=/usr/share/ollama/.ollama/models
    while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
    printf '%s\n' "$folder"
}

check_disk() {
    local folder free begun needed
    case $url in
        http://127.* | http://localhost:* | http://\[::1\]:*) ;;
        *) return ;; # another machine's disk
    esac
    folder=$(models_folder)
    free=$(df -Pk "$folder" | awk 'NR == 2 {print $4}')
    begun=$(find "$folder" -name '*-partial*' -exec du -k {} + 2>/dev/null | awk '{n += $1} END {print n + 0}')
    needed=$((bytes * 11 / 10240 - begun)) # KiB, with a reserve of 10 %
    [ "$needed" -le "$free" ] ||
        die "$tag needs $((needed * 1024 / 10 ** 9)) GB and $folder has" \
            "$((free * 1024 / 10 ** 9)) GB free." \
            "Free some space, or set OLLAMA_MODELS to a folder on a larger disk."
}

check_sight() {
    case " $(api capabilities "$tag") " in
        *' vision '*) say "$tag is installed and can see." ;;
        *) die "$tag is installed but cannot see: it has no 'vision' capability. Use a qwen3-vl tag." ;;
    esac
}

command -v python3 >/dev/null || die "python3 is not installed. This script needs nothing else."
trap stop_serving EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
url=$(./run_server.sh --engine-url)
resolve "${1:-$(./run_server.sh --setting MODEL_NAME qwen3-vl:32b)}"
await_daemon
if ! api capabilities "$tag" >/dev/null; then
    check_version
    check_disk
    size="$((bytes / 10 ** 9)).$((bytes / 10 ** 8 % 10)) GB"
    if [ "$bytes" = 0 ]; then
        say "$tag is not in our catalogue; requesting it from Ollama unchanged."
        size='size unknown'
    fi
    say "Downloading $tag ($size) through Ollama at $url."
    api pull "$tag" "$bytes"
fi
check_sight
mkdir -p .cache && echo ollama >.cache/engine # the engine that run_server.sh starts from now on
[ -n "${QUICK_START:-}" ] || say "Start the server with:  MODEL_NAME=$tag ./run_server.sh"
