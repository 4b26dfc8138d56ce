#!/bin/bash
# Processor time of the server for each message that a certificate brings to the MX (10 KiB, accepted and durable), of two builds, alternating.
#
#   cpu_per_message.sh BINARY_A BINARY_B [ROUNDS]       5 rounds if not told
#
# With AUDIT_OFF=1 build A keeps no audit rows of mail ([audit] mail = false): give the same build twice to see what the trail costs.
#
# Environment: MORE_MAX (per cent that B may need more; 10, with AUDIT_OFF 15), COUNT (messages of a measurement), BENCH_DIR and MB (as run.sh), TMPDIR (not a tmpfs). Each build has an operator of its own with the same certificates,
# revocation list and white list. Prints the median of each and how much more B needs than A.
set -eu
a=$(realpath "${1:?BINARY_A}") b=$(realpath "${2:?BINARY_B}")
cd "$(dirname "$0")/../.."
root=$PWD
rounds=${3:-5}
count=${COUNT:-4000}
more_max=${MORE_MAX:-$([ -n "${AUDIT_OFF:-}" ] && echo 15 || echo 10)}
bench=$(cd "${BENCH_DIR:-../shared/bench}" 2>/dev/null && pwd) || { echo "the load driver is not in ${BENCH_DIR:-../shared/bench}; set BENCH_DIR" >&2; exit 1; }
work=$(mktemp -d -t vaguemestre-cpu.XXXXXX)
[ "$(stat -f -c %T "$work")" != tmpfs ] || { echo "$work is on a tmpfs, where nothing is durable; set TMPDIR" >&2; exit 1; }
cp -r "$bench" "$work/bench"
chmod -R u+w "$work/bench"
if [ -z "${MB:-}" ]; then
  CARGO_TARGET_DIR=$root/target/mailbench cargo build --quiet --release --manifest-path "$work/bench/mailbench/Cargo.toml"
  MB=$root/target/mailbench/release/mailbench
fi
pid=
finish() { [ -z "$pid" ] || { kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; }; }
trap finish EXIT
trap 'exit 1' INT TERM

ready() {
  for _ in $(seq 300); do
    (exec 3<>/dev/tcp/127.0.0.1/4525) 2>/dev/null && return
    sleep 0.1
  done
  return 1
}
# An operator for a build; keys that an older one does not know yet are left out.
operator() { # NAME BINARY
  local config=$work/$1/vaguemestre.toml
  sed "s|\"\$binary\" --config \"\$dir/vaguemestre.toml\" mailbox import.*||" tests/bench/setup.sh >"$work/setup.sh"
  sh "$work/setup.sh" "$2" "$work/$1" "$work/tls" 4000
  if [ -n "${AUDIT_OFF:-}" ]; then
    sed -i 's/^\[trust\]/[trust]\nenvironment = "test"/' "$config"
    [ "$1" = b ] || printf '\n[audit]\nmail = false\n' >>"$config"
  fi
  "$2" check-config --config "$config" >"$work/faults" 2>&1 || sed -i '/^whitelist_format/d' "$config"
  "$2" --config "$config" mailbox import "$work/$1/users.csv"
}
measure() { # NAME BINARY
  local before after
  "$2" serve --config "$work/$1/vaguemestre.toml" --log warn >>"$work/serve-$1.log" 2>&1 &
  pid=$!
  ready
  send "$((count / 10))" >/dev/null
  before=$(awk '{print $14 + $15}' "/proc/$pid/stat")
  send "$count" >>"$work/$1.jsonl"
  after=$(awk '{print $14 + $15}' "/proc/$pid/stat")
  kill "$pid"
  wait "$pid" || true
  pid=
  awk -v ticks="$((after - before))" -v hz="$(getconf CLK_TCK)" -v count="$count" 'BEGIN {printf "%.4f\n", 1000 * ticks / hz / count}' | tee -a "$work/$1.ms"
}
send() { # COUNT
  "$MB" smtp-in --port 4525 --ca "$work/tls/ca.pem" --cert "$work/tls/client.pem" --key "$work/tls/client.key" --users 20 --users-fmt "u%03d@bench.test" --conns 10 \
    --size 10k --count "$1" 2>>"$work/log" </dev/null
}

# Mail without its rows is for tests only, and so must be the authority.
[ -z "${AUDIT_OFF:-}" ] || sed -i 's/bench CA/bench TEST CA/' "$work/bench/make-certs.sh"
bash "$work/bench/make-certs.sh" "$work/tls" >>"$work/log" 2>&1
{ operator a "$a" && operator b "$b"; } >>"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 1; }
for round in $(seq "$rounds"); do
  for name in a b; do
    binary=$a
    [ $name = a ] || binary=$b
    echo "$(date +%T) round $round of $rounds, $name: $(measure $name "$binary") ms a message" >&2
  done
done
python3 - "$work" "$more_max" <<'PYTHON'
import pathlib, statistics, sys
folder, more_max = pathlib.Path(sys.argv[1]), float(sys.argv[2])
a, b = ([float(line) for line in (folder / f"{name}.ms").read_text().split()] for name in "ab")
for name, values in (("A", a), ("B", b)):
    print(f"{name}: {statistics.median(values):.3f} ms a message ({min(values):.3f}–{max(values):.3f})")
more = 100 * (statistics.median(b) / statistics.median(a) - 1)
print(f"B needs {more:+.1f} % ; wanted: +{more_max:g} % at most{'' if more <= more_max else '  MISSED'}")
sys.exit(more > more_max)
PYTHON
echo "logs and raw figures: $work"
