#!/bin/bash
# Measures this server beside Postfix + Dovecot, alternating, in one run. Policy is never switched off: client certificate, revocation list and white list are
# enforced on our side, and Postfix asks for the certificate too.
#   run.sh [ROUNDS]       environment: BENCH_DIR (the load driver and its set-up, default ../shared/bench), SECTIONS, STORE_URL, BINARY
# Needs root (Postfix), and the Debian packages postfix dovecot-imapd dovecot-lmtpd, whose own services must not run.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
rounds=${1:-3}
bench=$(cd "${BENCH_DIR:-../shared/bench}" 2>/dev/null && pwd) || { echo "the load driver is not in ${BENCH_DIR:-../shared/bench}; set BENCH_DIR" >&2; exit 1; }
binary=${BINARY:-$root/target/release/vaguemestre}
sections=${SECTIONS:-"drain e2e"}
work=$(mktemp -d /tmp/vaguemestre-bench.XXXXXX)
cp -r "$bench" "$work/bench"
chmod -R u+w "$work/bench"
driver=$root/target/mailbench
CARGO_TARGET_DIR=$driver cargo build --quiet --release --manifest-path "$work/bench/mailbench/Cargo.toml"
export MB=$driver/release/mailbench MXCERT=1 REPS=1
setup=$work/bench/setup-postfix-dovecot.sh
export BASE=$work/pd
bash "$setup" setup >"$work/setup.log" 2>&1
bash "$work/bench/make-certs.sh" "$work/tls"
sh tests/bench/setup.sh "$binary" "$work/operator" "$work/tls" 4000 >>"$work/setup.log"
"$binary" serve --config "$work/operator/vaguemestre.toml" --log warn >"$work/serve.log" 2>&1 </dev/null &
echo $! >"$work/serve.pid"
# The peer's daemons keep our standard output open if they are given it.
bash "$setup" start >>"$work/setup.log" 2>&1 </dev/null
finish() {
  kill "$(cat "$work/serve.pid")" 2>/dev/null || true
  bash "$setup" stop >/dev/null 2>&1 </dev/null || true
}
trap finish EXIT
until curl -s --max-time 2 "imap://127.0.0.1:4143/" >/dev/null 2>&1 || [ $? -ne 7 ]; do sleep 0.1; done
for _ in $(seq "$rounds"); do
  for section in $sections; do
    (cd "$work/bench" && OUT=$work/ours.jsonl MX=4525 SUB=4587 IMAP=4143 TLS=$work/tls PIDS="cat $work/serve.pid" bash run-all.sh "$section") >/dev/null
    (cd "$work/bench" && OUT=$work/peer.jsonl TLS=$BASE/tls PIDS="$setup pids" bash run-all.sh "$section") >/dev/null
  done
done
for who in ours peer; do
  echo "$who"
  python3 "$work/bench/table.py" "$work/$who.jsonl" msgs_per_s visible_msgs_per_s eod_p50_ms eod_p99_ms visible_p50_ms others_cpu_s errors load1
done
echo "ours at the end: $(awk '/VmRSS|VmHWM/ {printf "%s %s kB  ", $1, $2}' "/proc/$(cat "$work/serve.pid")/status")"
echo "logs and raw figures: $work"
