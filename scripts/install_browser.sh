#!/bin/sh
# Find a Chromium for the tests in tests/browser, or install one where that is possible; never fails a build.
set -u

limited() { # limited SECONDS COMMAND...: so that a closed network cannot hold a build up
    if command -v timeout >/dev/null; then
        timeout "$@"
    else
        shift
        "$@"
    fi
}

for name in "${IPT_BROWSER:-}" chromium chromium-browser google-chrome; do
    if [ -n "$name" ] && found=$(command -v "$name"); then
        echo "Chromium: $found"
        exit 0
    fi
done

python=${PYTHON:-python3}
if "$python" -c '
import pathlib, playwright.sync_api as api
with api.sync_playwright() as p:
    raise SystemExit(not pathlib.Path(p.chromium.executable_path).is_file())
' 2>/dev/null; then
    echo "Chromium: playwright's own"
    exit 0
fi

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing chromium with apt-get"
    export DEBIAN_FRONTEND=noninteractive
    if { limited 240 apt-get install -y -q --no-install-recommends chromium fonts-dejavu-core ||
        { limited 120 apt-get update -q && limited 240 apt-get install -y -q --no-install-recommends chromium fonts-dejavu-core; }; } >/dev/null 2>&1; then
        command -v chromium && exit 0
    fi
    echo "apt-get could not install it"
fi

echo "Installing chromium with playwright"
if limited 120 "$python" -m playwright install chromium; then
    exit 0
fi
echo "No Chromium could be installed: the tests in tests/browser will be skipped." >&2
echo "Set IPT_BROWSER to the path of a Chromium or Chrome to run them." >&2
exit 0
