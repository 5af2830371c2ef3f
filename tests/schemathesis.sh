#!/usr/bin/env bash
# Throws what schemathesis can think of at the JSON interface of a running gate. By hand: tests/schemathesis.sh
#
# A plate's grammar is more than a schema says, so that well-formed but impossible plates may be refused.
#
# Makes a gate of its own in a temporary folder, with a steward's token. Needs Python 3.10 or newer with venv, and the
# network once for schemathesis.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/environment
program=$(realpath "${PLATEGATE:-target/debug/plategate}")
[ -x "$program" ] || { echo "build first: cargo build" >&2; exit 2; }
port=${PORT:-8497}
work=$(mktemp -d)
trap 'kill "$gate" 2>/dev/null || true; rm -rf "$work"' EXIT
venv="$PLATEGATE_CACHE/schemathesis"
if [ ! -x "$venv/bin/schemathesis" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check schemathesis
fi
printf 'correct horse battery\n' | "$program" users --data "$work/data" add steward --role steward --role maintainer --password-stdin
token=$("$program" users --data "$work/data" token steward)
"$program" plates --data "$work/data" add 苏F12345 --household 1-101
PLATEGATE_LOG=error "$program" run --camera folder:/nonexistent --data "$work/data" --listen "127.0.0.1:$port" >"$work/log" 2>&1 &
gate=$!
for _ in $(seq 50); do curl -fs "http://127.0.0.1:$port/healthz" >/dev/null && break; sleep 0.2; done
cd "$work"  # it keeps its notes in the folder where it runs
"$venv/bin/schemathesis" run "http://127.0.0.1:$port/api/v1/openapi.json" --header "Authorization: Bearer $token" \
    --url "http://127.0.0.1:$port" --exclude-checks positive_data_acceptance --checks all --max-examples "${EXAMPLES:-50}" "$@"
