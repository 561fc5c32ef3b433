#!/usr/bin/env bash
# From a fresh clone to the first answers: install what is missing, choose an engine, run it on the
# images in examples/, and stop. Safe to interrupt and to run again.
#
#   ./quick_start.sh             everything
#   ./quick_start.sh --choose    only print which engine it would use, and why
#
#   ENGINE=ollama|embedded   use this engine
#   MODEL_NAME=TAG           use this model with Ollama (default qwen3-vl:32b, 21 GB)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

ollama_site=${OLLAMA_SITE:-https://ollama.com}
venv=.venv

say() { printf '%s\n' "$*"; }
die() {
    printf '%s\n' "$*" >&2
    exit 1
}

find_python() { # sets $python to one that is new enough
    for python in python3 python3.14 python3.13 python3.12 python3.11; do
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && return
    done
    die "Python 3.11 or newer is needed, and none is on PATH. Install one, e.g. apt-get install python3.11."
}

make_venv() {
    local version
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 && return
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        die "This Python cannot create a virtual environment. Install the missing package with:" \
            "apt-get install python$version-venv"
    say "Creating a virtual environment with Python $version in $venv ..."
    mkdir -p .cache/logs
    "$python" -m venv --clear "$venv" 2>.cache/logs/venv.log || # --clear: an incomplete one may exist
        die "The virtual environment could not be created: $(tail -n 1 .cache/logs/venv.log)"
}

install_packages() { # REQUIREMENTS-FILE: skipped if the file has not changed since
    local stamp hash
    stamp=$venv/installed-$1
    hash=$("$python" -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$1")
    if [ "$(cat "$stamp" 2>/dev/null)" = "$hash" ]; then return; fi
    mkdir -p .cache/logs
    printf 'Installing the packages of %s ... ' "$1"
    SECONDS=0
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$1" \
        >.cache/logs/pip.log 2>&1 || {
        say "failed."
        tail -n 3 .cache/logs/pip.log >&2
        die "pip could not install $1 (full output: .cache/logs/pip.log). Check the network and run this again."
    }
    printf '%s\n' "$hash" >"$stamp"
    say "$SECONDS s."
}

has_gpu() { command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q GPU; }
can_be_root() { [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; }; }
reaches_ollama() {
    "$python" - "$ollama_site/install.sh" <<'PY' 2>/dev/null
import sys, urllib.request
urllib.request.urlopen(urllib.request.Request(sys.argv[1], method="HEAD"), timeout=5)
PY
}

choose() { # sets $engine, $why, and $install where Ollama is to be installed first
    local version
    engine=ollama why='' install=''
    if [ -n "${ENGINE:-}" ]; then
        engine=$ENGINE why="set by ENGINE"
        case $engine in
            ollama | embedded) ;;
            *) die "ENGINE is '$engine'; it must be ollama or embedded." ;;
        esac
    elif version=$(./run_server.sh --probe); then
        why="version $version answers at $(./run_server.sh --engine-url)"
        case $version in *embedded*) engine=embedded ;; esac
    elif command -v ollama >/dev/null; then
        why="the command is installed"
    elif ! has_gpu; then
        engine=embedded why="there is no Ollama and no NVIDIA GPU here"
    elif ! can_be_root; then
        engine=embedded why="there is an NVIDIA GPU, but installing Ollama needs root: run $ollama_site/install.sh yourself"
    elif ! reaches_ollama; then
        engine=embedded why="there is an NVIDIA GPU, but no network to $ollama_site to install Ollama from"
    else
        why="there is an NVIDIA GPU and $ollama_site can be reached, so Ollama is installed first" install=1
    fi
    say "Engine: $engine ($why)."
}

install_ollama() {
    mkdir -p .cache/logs
    say "Installing Ollama from $ollama_site/install.sh ..."
    "$python" - "$ollama_site/install.sh" .cache/ollama-install.sh <<'PY' &&
import sys, urllib.request
urllib.request.urlretrieve(*sys.argv[1:])
PY
        sh .cache/ollama-install.sh >.cache/logs/ollama-install.log 2>&1
}

prepare_engine() { # falls back to the embedded engine, unless ENGINE=ollama
    [ "$engine" = ollama ] || return 0
    if [ -n "$install" ] && ! install_ollama; then
        say "Ollama's installer failed: $(tail -n 1 .cache/logs/ollama-install.log)"
    elif QUICK_START=1 ./download_model.sh; then
        return
    fi
    [ "${ENGINE:-}" != ollama ] || exit 1
    say "Continuing with the embedded engine, which needs no download: it reads text and describes what it measures."
    engine=embedded
}

find_python
if [ "${1:-}" = --choose ]; then
    choose
    exit
fi
[ $# = 0 ] || die "Unknown argument $1. Usage: ./quick_start.sh [--choose]"
trap 'say "Interrupted. Run ./quick_start.sh again to resume."; exit 130' INT
make_venv
choose
prepare_engine
if [ "$engine" = embedded ]; then
    install_packages requirements-embedded.txt
    model=embedded # MODEL_NAME is for Ollama
else
    install_packages requirements.txt
    model=$(./run_server.sh --setting MODEL_NAME qwen3-vl:32b)
fi
mkdir -p .cache
echo "$engine" >.cache/engine # for run_server.sh

next=./run_server.sh # with the settings that differ from the defaults
if [ -n "${MODEL_NAME:-}${OLLAMA_HOST:-}" ]; then
    next="ENGINE=$engine MODEL_NAME=$model $next"
    [ -z "${OLLAMA_HOST:-}" ] || [ "$engine" = embedded ] || next="OLLAMA_HOST=$OLLAMA_HOST $next"
fi

port=$("$python" -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
ENGINE=$engine MODEL_NAME=$model HOST=127.0.0.1 PORT=$port \
    ./run_server.sh -- "$venv/bin/python" examples/try.py
say "
It works. Now start the server and leave it running, at http://127.0.0.1:8000:

    $next
"
