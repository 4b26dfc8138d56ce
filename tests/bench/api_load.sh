#!/bin/bash
# Administration while mail flows: RATE requests a second (lists, one by one, POST and PATCH of mailboxes) for SECS seconds, alone, then beside mail at half the speed
# that was measured just before. Prints, a line of JSON each: mail alone at full speed, mail alone at half, requests alone, both together.
#
#   api_load.sh [SECS] [RATE]     30 seconds and 100 requests a second, unless told
#
# Environment: BINARY (target/release/vaguemestre), BENCH_DIR (../shared/bench: certificates), MB (the load driver), STORE_URL (SQLite unless told), COUNT (messages of 10 KiB
# of the measurement at full speed), TMPDIR (not a tmpfs).
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
seconds=${1:-30} rate=${2:-100} count=${COUNT:-20000} base=8000
binary=${BINARY:-$root/target/release/vaguemestre}
[ -x "$binary" ] || { echo "there is no $binary; run make release, or set BINARY" >&2; exit 1; }
bench=$(cd "${BENCH_DIR:-../shared/bench}" 2>/dev/null && pwd) || { echo "the load driver is not in ${BENCH_DIR:-../shared/bench}; set BENCH_DIR" >&2; exit 1; }
[ -x "${MB:-}" ] || { echo "set MB to the load driver (mailbench), as tests/bench/run.sh builds it" >&2; exit 1; }
work=$(mktemp -d -t vaguemestre-api-load.XXXXXX)
[ "$(stat -f -c %T "$work")" != tmpfs ] || { echo "$work is on a tmpfs, where nothing is durable; set TMPDIR" >&2; exit 1; }
: >"$work/log"
server=
finish() {
  [ -z "$server" ] || { kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; } || true
  echo "logs: $work" >&2
}
trap finish EXIT
trap 'exit 1' INT TERM

bash "$bench/make-certs.sh" "$work/tls" >>"$work/log" 2>&1
STORE_URL=${STORE_URL:-} sh tests/bench/setup.sh "$binary" "$work/operator" "$work/tls" "$base" >>"$work/log" 2>&1
cat >>"$work/operator/vaguemestre.toml" <<TOML
[listeners.https]
bind = "127.0.0.1:$((base + 443))"
tls = "implicit"
TOML
key=$("$binary" --config "$work/operator/vaguemestre.toml" --json key create bench --role operator | python3 -c 'import json, sys; print(json.load(sys.stdin)["key"])')
"$binary" serve --config "$work/operator/vaguemestre.toml" --log warn >>"$work/serve.log" 2>&1 &
server=$!
python3 tests/bench/cold.py wait "$((base + 525))" "$((base + 143))" >>"$work/log" 2>&1

export API_KEY=$key MB
python3 tests/bench/api_load.py --https "$((base + 443))" --mx "$((base + 525))" --imap "$((base + 143))" --tls "$work/tls" --seconds "$seconds" --rate "$rate" --count "$count" \
  --log "$work/log"
