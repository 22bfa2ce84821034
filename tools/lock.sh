#!/usr/bin/env bash
# Writes requirements.lock and requirements-dev.lock: exact versions with hashes for every platform.
# tinysoundfont is appended without its dependencies: it declares pyaudio, which needs a compiler and portaudio
# headers and is never imported for rendering. That is why the locks are complete and installed with --no-deps.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() { uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header "$@"; }
extra=$(mktemp)
trap 'rm -f "$extra"' EXIT
echo "tinysoundfont==0.3.7" | compile --no-deps - -o "$extra" > /dev/null
compile pyproject.toml --group build -o requirements.lock > /dev/null
compile pyproject.toml --group dev -o requirements-dev.lock > /dev/null
for lock in requirements.lock requirements-dev.lock; do cat "$extra" >> "$lock"; done
