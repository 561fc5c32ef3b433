#!/usr/bin/env bash
# Download a model into Ollama and check that it can see.
#
#   ./download_model.sh [TAG]     default: MODEL_NAME, else qwen3-vl:32b (21 GB)
#
# Run it again after an interruption: Ollama goes on where it stopped. A daemon at OLLAMA_HOST is
# used as it is; where none answers, the installed one runs for as long as the download takes.
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

api() { # COMMAND ...: one call of Ollama's HTTP API; the sentence for the user goes to stderr
    python3 - "$url" "$@" <<'PY'
import json
import sys
import time
import urllib.error
import urllib.request
from http.client import HTTPException

URL, COMMAND, *ARGUMENTS = sys.argv[1:]
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
ATTEMPTS = 6  # 2, 4, 8, 16 and 32 s apart
NO_NETWORK = ("no such host", "dial tcp", "network is unreachable", "server misbehaving")


def call(path, body=None, timeout=600):  # hashing 20 GB is silent for minutes
    data = None if body is None else json.dumps(body).encode()
    return OPENER.open(urllib.request.Request(URL + path, data), timeout=timeout)


def version():
    print(json.load(call("/api/version", timeout=5))["version"])


def at_least(found, wanted):
    def numbers(text):
        return tuple(int(part) for part in text.split("-")[0].split("."))

    # 0.0.0 is what a build from source calls itself
    sys.exit(numbers(found) not in ((0, 0, 0),) and numbers(found) < numbers(wanted))


def capabilities(model):
    try:
        print(*json.load(call("/api/show", {"model": model})).get("capabilities", []))
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        sys.exit(1)


class Progress:
    """One line that rewrites itself on a terminal; elsewhere a line every 30 seconds."""

    def __init__(self, expected):
        self.expected, self.layers = expected, {}
        self.begun, self.resumed, self.shown, self.status = time.monotonic(), None, 0.0, ""

    def take(self, line):
        if line.get("total"):
            self.layers[line["digest"]] = (line.get("completed", 0), line["total"])
            self.show()
        elif line["status"] != self.status:
            self.status = line["status"]
            print(f"\r\033[K{self.status}" if sys.stdout.isatty() else self.status, flush=True)

    def show(self):
        done, known = map(sum, zip(*self.layers.values()))
        if self.resumed is None:
            self.resumed = done
        now, tty = time.monotonic(), sys.stdout.isatty()
        total = max(known, self.expected)
        if now - self.shown < (0.5 if tty else 30) and done < total:
            return
        self.shown = now
        speed = (done - self.resumed) / max(now - self.begun, 0.1)
        text = f"{done / total:4.0%}  {done / 1e9:.1f} of {total / 1e9:.1f} GB, {speed / 1e6:.0f} MB/s"
        if speed:
            text += f", {(total - done) / speed / 60:.0f} min left"
        print(f"\r\033[K{text}" if tty else text, end="" if tty else "\n", flush=True)


def pull(model, expected):
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return pull_once(model, Progress(int(expected)))
        except (OSError, HTTPException) as error:
            if attempt == ATTEMPTS:
                sys.exit(f"The download broke off {ATTEMPTS} times, at last with: {error}. "
                         "Run this again; it goes on where it stopped.")
            print(f"\nThe connection broke ({error}); trying again in {2**attempt} s.", flush=True)
            time.sleep(2**attempt)


def pull_once(model, progress):
    try:
        answer = call("/api/pull", {"model": model})
    except urllib.error.HTTPError as error:
        sys.exit(f"Ollama refuses to download {model}: {json.load(error)['error']}")
    for raw in answer:
        line = json.loads(raw)
        if "error" in line:
            explain(model, line["error"])
        progress.take(line)
        if line.get("status") == "success":
            return
    raise OSError("the daemon ended the answer early")


def explain(model, error):
    if "manifest" in error and any(text in error for text in NO_NETWORK):
        sys.exit(f"There is no network from Ollama at {URL} to its registry: {model} cannot be "
                 "downloaded. Connect that machine, or run ENGINE=embedded ./quick_start.sh.")
    if "manifest" in error and "not exist" in error:
        sys.exit(f"Ollama's registry has no model {model}. See https://ollama.com/library/qwen3-vl")
    if "newer version" in error:
        sys.exit(f"{model} needs a newer Ollama. Update it from https://ollama.com/download")
    if "no space" in error:
        sys.exit("The disk is full. Free some space and run this again; it goes on from there.")
    raise OSError(error)


try:
    {"version": version, "at-least": at_least, "capabilities": capabilities, "pull": pull}[COMMAND](
        *ARGUMENTS
    )
except OSError as error:
    sys.exit(f"Ollama at {URL} does not answer: {error}")
except KeyboardInterrupt:
    sys.exit(130)
PY
}

resolve() { # NAME: sets $tag and $bytes (0 where the size is not known)
    local line note
    tag=$1 bytes=0
    if line=$(python3 -m app.models.catalog "$1" 2>/dev/null); then
        IFS=$'\t' read -r tag bytes note <<<"$line"
        [ -z "$note" ] || say "Note: $note."
    fi
}

await_daemon() { # starts the installed one where none answers
    local tries=100
    api version >/dev/null 2>&1 && return
    case $url in
        http://127.* | http://localhost:* | http://\[::1\]:*) ;;
        *) die "Nothing answers at $url. Start Ollama there, or correct OLLAMA_HOST." ;;
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
            die "'ollama serve' does not come up: $(tail -n 1 .cache/logs/ollama-pull.log)"
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

models_folder() { # the nearest existing folder above where the daemon keeps its models
    local folder=${OLLAMA_MODELS:-${HOME:-/root}/.ollama/models}
    # where Ollama's own installer puts them when it sets up the service
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
    needed=$((bytes * 11 / 10240 - begun)) # KiB, with a tenth to spare
    [ "$needed" -le "$free" ] ||
        die "$tag needs $((needed * 1024 / 10 ** 9)) GB and $folder has" \
            "$((free * 1024 / 10 ** 9)) GB free." \
            "Free some space, or set OLLAMA_MODELS to a folder on a larger disk."
}

check_sight() {
    case " $(api capabilities "$tag") " in
        *' vision '*) say "$tag is installed and can see." ;;
        *) die "$tag is installed but cannot see: it has no 'vision' capability. Take a qwen3-vl tag." ;;
    esac
}

command -v python3 >/dev/null || die "python3 is not installed; it is all this script needs."
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
        say "$tag is not in our catalogue; asking Ollama for it as it is."
        size='size not known'
    fi
    say "Downloading $tag ($size) through Ollama at $url."
    api pull "$tag" "$bytes"
fi
check_sight
mkdir -p .cache && echo ollama >.cache/engine # what run_server.sh starts from now on
[ -n "${QUICK_START:-}" ] || say "Start the server with:  MODEL_NAME=$tag ./run_server.sh"
