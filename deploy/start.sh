#!/bin/sh
# From a bare container with a GPU to the running server: what vessl.yaml and its like run.
#
#   sh deploy/start.sh
#
# Installs Python 3.11 or newer, the packages, Ollama and the model, each only if it is missing: a
# restart with the same OLLAMA_MODELS does not download the model again. Settings are those of
# run_server.sh and README.md, and
#   ENGINE           ollama (default) or embedded
#   OLLAMA_MODELS    folder for the models
#   OLLAMA_VERSION   version of Ollama to install (read by its installer; default: the newest)
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*"; }
die() {
    printf '%s\n' "$*" >&2
    exit 1
}

check_key() { # before any download; the server itself checks only afterwards
    case ${HOST:-127.0.0.1} in 127.* | localhost | ::1) return ;; esac
    [ -n "${API_KEY:-}${API_KEYS:-}" ] || [ "${ALLOW_ANONYMOUS:-}" = true ] ||
        die "HOST=$HOST is reachable from other machines and no API key is set: set API_KEY to a secret that clients send."
}

bring_packages() { # into .venv; uv also installs a Python if the image's own is too old
    uv=.cache/uv/bin/uv
    [ -x $uv ] || {
        say "Installing uv ..."
        PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check \
            --target .cache/uv uv==0.13.9
    }
    [ -x .venv/bin/python ] || $uv venv --quiet --python '>=3.11' .venv
    say "Installing the packages of $1 ..."
    $uv pip install --quiet --require-hashes --python .venv -r "$1"
    PATH=$PWD/.venv/bin:$PATH # also for download_model.sh, which runs python3
}

bring_ollama() {
    ! command -v ollama >/dev/null || return 0
    if ! { command -v curl && command -v zstd; } >/dev/null; then # for its archives
        apt-get update -qq
        apt-get install -qq -y --no-install-recommends ca-certificates curl zstd
    fi
    say "Installing Ollama ..."
    curl -fsSL -o .cache/ollama-install.sh "${OLLAMA_SITE:-https://ollama.com}/install.sh"
    sh .cache/ollama-install.sh
}

export ENGINE="${ENGINE:-ollama}"
check_key
mkdir -p .cache
if [ "$ENGINE" = embedded ]; then
    bring_packages requirements-embedded.txt
else
    bring_packages requirements.txt
    mkdir -p "${OLLAMA_MODELS:-.cache}"
    bring_ollama
    ./download_model.sh
fi
exec ./run_server.sh
