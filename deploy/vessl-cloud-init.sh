#!/bin/sh
# Init script for a workspace on VESSL Cloud (cloud.vessl.ai), which does not read YAML:
#
#   vesslctl workspace create ... --cluster-volume VOLUME:/models --init-script "$(cat THIS-FILE)"
#
# See docs/VESSL_SETUP_GUIDE.md. Safe to run again: existing files are kept.
set -eu

[ -d /root/app ] || git clone --depth 1 https://github.com/OWNER/REPOSITORY /root/app

# A workspace has no secrets: the key is created once and stored on the volume.
umask 077
[ -s /models/api-key ] || python3 -c 'import secrets; print(secrets.token_hex(24))' >/models/api-key
API_KEY=$(cat /models/api-key)
export API_KEY HOST=0.0.0.0 PORT=8000 OLLAMA_MODELS=/models READY_TIMEOUT_S=1800 LOG_FORMAT=json

cd /root/app
nohup sh deploy/start.sh >/root/start.log 2>&1 &
