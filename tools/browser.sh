#!/usr/bin/env bash
# Makes sure that there is a Chromium for the tests of pages: the machine's own, Debian's, or playwright's.
set -euo pipefail
for name in chromium chromium-browser google-chrome; do
    command -v "$name" > /dev/null && exit 0
done
if command -v apt-get > /dev/null && [ "$(id -u)" = 0 ]; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium > /dev/null && exit 0
fi
"${1:-.venv/bin/playwright}" install chromium
