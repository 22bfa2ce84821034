#!/usr/bin/env bash
# Our gateway beside nginx as a plain proxy, both before the same mock upstream, with key check, hold, settlement and
# usage row on. Prints pair.py's tables.
#   bench/run.sh [--cases chat:32] [--rounds 5] [--secs 3] ...        arguments go to pair.py
set -euo pipefail
cd "$(dirname "$0")"
python=${PYTHON:-../.venv/bin/python}
cores=$(getconf _NPROCESSORS_ONLN)
load_core=0
gate_core=$((cores > 1 ? 1 : 0))
for tool in nginx taskset cc; do
    command -v "$tool" >/dev/null || { echo "bench/run.sh needs $tool: apt-get install nginx-light util-linux gcc" >&2; exit 1; }
done
make --quiet build

work=$(mktemp -d)
started=()
finish() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT

until_answers() {  # a URL; at most 30 s
    for _ in $(seq 300); do
        "$python" -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1], timeout=2)' "$1" 2>/dev/null && return
        sleep 0.1
    done
    echo "$1 does not answer" >&2
    exit 1
}

taskset -c "$load_core" ./mockup --port 9100 >"$work/mock.log" 2>&1 &
started+=($!)
taskset -c "$gate_core" nginx -p "$work/" -c "$PWD/nginx-proxy.conf" -e stderr >"$work/nginx.log" 2>&1 &
started+=($!)
OPENPOLLEN_ENGINES_ENABLED=false taskset -c "$gate_core" "$python" -m openpollen serve --port 0 \
    --data "$work/data" --config gateway.toml >"$work/serve.log" 2>&1 &
started+=($!)

until [ -s "$work/data/server.json" ]; do
    kill -0 "${started[2]}" 2>/dev/null || { cat "$work/serve.log" >&2; exit 1; }
    sleep 0.1
done
url=$("$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))["url"])' "$work/data/server.json")
until_answers "$url/health/ready"
key=$(grep -o -m1 'sk_[A-Za-z0-9]*' "$work/serve.log")
"$python" -m openpollen admin grant admin 1000000 --bucket pack --data "$work/data" >/dev/null

"$python" pair.py --cases chat:32 --load-core "$load_core" --target nginx=http://127.0.0.1:9201 \
    --target "openpollen=${url/localhost/127.0.0.1}=$key" "$@"
"$python" -m openpollen admin ledger verify --data "$work/data" >"$work/verify.log" || { cat "$work/verify.log" >&2; exit 1; }
