#!/bin/bash
# Full handshakes with a client certificate on the MX (greeting, EHLO, STARTTLS, handshake, EHLO, QUIT; nothing is resumed), each a second: with a long revocation list
# and a long white list enforced, with an empty revocation list, and Postfix that asks for the certificate and verifies its chain. All in one run, alternating.
#
#   handshakes.sh [ROUNDS]       5 if not told
#
# Environment: SECS (of each measurement), CONNECTIONS, LIST_ENTRIES, DOMAINS, TLS_VERSION (1.2 or 1.3; both if empty), CONTENDERS (long short peer), BINARY
# (target/release/vaguemestre), BENCH_DIR and MB (as run.sh), TMPDIR. Needs root and the Debian packages of run.sh.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
[ "$(id -u)" -eq 0 ] || { echo "this needs root: Postfix is started as a user of its own" >&2; exit 1; }
rounds=${1:-5}
secs=${SECS:-5}
connections=${CONNECTIONS:-10}
list_entries=${LIST_ENTRIES:-200000}
domains=${DOMAINS:-10000}
contenders=${CONTENDERS:-long short peer}
binary=${BINARY:-$root/target/release/vaguemestre}
[ -x "$binary" ] || { echo "there is no $binary; run make release, or set BINARY" >&2; exit 1; }
bench=$(cd "${BENCH_DIR:-../shared/bench}" 2>/dev/null && pwd) || { echo "the load driver is not in ${BENCH_DIR:-../shared/bench}; set BENCH_DIR" >&2; exit 1; }
work=$(mktemp -d -t vaguemestre-handshakes.XXXXXX)
chmod 755 "$work"
cp -r "$bench" "$work/bench"
chmod -R u+w "$work/bench"
if [ -z "${MB:-}" ]; then
  CARGO_TARGET_DIR=$root/target/mailbench cargo build --quiet --release --manifest-path "$work/bench/mailbench/Cargo.toml"
  MB=$root/target/mailbench/release/mailbench
fi
peer=$work/bench/setup-postfix-dovecot.sh
export BASE=$work/pd
: >"$work/log"

base_of() { case $1 in long) echo 4000 ;; short) echo 6000 ;; peer) echo 2000 ;; esac; }
tls_of() { case $1 in peer) echo "$BASE/tls" ;; *) echo "$work/tls" ;; esac; }

# An operator whose white list names many domains.
operator() { # CONTENDER
  sh tests/bench/setup.sh "$binary" "$work/operator-$1" "$work/tls" "$(base_of "$1")"
  seq -f "domaine%06g.test;CN=mx.domaine%06g.test,OU=1750000019,O=HOPITAL TIERS,ST=Paris (75),C=FR" "$domains" >>"$work/operator-$1/trust/whitelist.txt"
}
# The same authority's list, with entries of certificates that do not exist.
long_list() {
  cp "$work/tls/ca.crl" "$work/short.crl"
  (
    cd "$work/tls"
    seq -f "R	351121000000Z	261101000000Z	7E%030.0f	unknown	/CN=revoked" "$list_entries" >index.txt
    openssl ca -config crl.cnf -gencrl -keyfile ca.key -cert ca.pem -out "$work/long.crl"
  )
}
prepare() { # CONTENDER
  case $1 in
    peer) bash "$peer" setup ;;
    *)
      operator "$1"
      sed -i "s|^crl_files = .*|crl_files = [\"$work/$1.crl\"]|" "$work/operator-$1/vaguemestre.toml" ;;
  esac
}
start() { # CONTENDER
  case $1 in
    peer) bash "$peer" start ;;
    *)
      "$binary" serve --config "$work/operator-$1/vaguemestre.toml" --log warn >>"$work/serve-$1.log" 2>&1 &
      echo $! >"$work/$1.pid" ;;
  esac
  for _ in $(seq 300); do
    (exec 3<>"/dev/tcp/127.0.0.1/$(($(base_of "$1") + 525))") 2>/dev/null && return
    sleep 0.1
  done
  return 1
}
stop() { # CONTENDER
  case $1 in
    peer) bash "$peer" stop ;;
    *)
      [ -f "$work/$1.pid" ] || return 0
      kill "$(cat "$work/$1.pid")" 2>/dev/null || true
      wait "$(cat "$work/$1.pid")" 2>/dev/null || true
      rm -f "$work/$1.pid" ;;
  esac
}
finish() {
  set +e
  for contender in $contenders; do stop "$contender" >>"$work/log" 2>&1 </dev/null; done
}
trap finish EXIT
trap 'exit 1' INT TERM

ticks() { [ "$1" = peer ] && echo 0 || awk '{print $14 + $15}' "/proc/$(cat "$work/$1.pid")/stat"; }
drive() { # CONTENDER COMMAND ARGUMENTS...
  local who=$1 tls
  shift
  tls=$(tls_of "$who")
  "$MB" "$@" --port "$(($(base_of "$who") + 525))" --ca "$tls/ca.pem" --cert "$tls/client.pem" --key "$tls/client.key" --conns "$connections" 2>>"$work/log" </dev/null
}
measure() { # CONTENDER VERSION
  local before after line
  before=$(ticks "$1")
  line=$(drive "$1" connect --proto smtp --secs "$secs" --tls-version "$2") || line='{}'
  after=$(ticks "$1")
  echo "{\"version\":\"$2\",\"ticks\":$((after - before)),\"run\":$line}" >>"$work/$1.jsonl"
}

bash "$work/bench/make-certs.sh" "$work/tls" >>"$work/log" 2>&1
long_list >>"$work/log" 2>&1
for contender in $contenders; do
  { prepare "$contender" && start "$contender"; } >>"$work/log" 2>&1 </dev/null || { tail -n 20 "$work/log" >&2; echo "$contender did not start; logs: $work" >&2; exit 1; }
done
# That mail is taken shows that list and certificate are in force.
for contender in $contenders; do
  drive "$contender" smtp-in --count 20 --size 1k --users 2 --users-fmt "u%03d@bench.test" >"$work/first-$contender.json" ||
    { echo "$contender takes no mail; logs: $work" >&2; exit 1; }
done
for round in $(seq "$rounds"); do
  for version in ${TLS_VERSION:-1.3 1.2}; do
    echo "$(date +%T) TLS $version, round $round of $rounds" >&2
    for contender in $contenders; do measure "$contender" "$version"; done
  done
done
echo "$rounds rounds of $secs s on $connections connections; $list_entries entries, $domains domains; load $(cut -d' ' -f1-3 /proc/loadavg)"
status=0
python3 tests/bench/handshakes.py "$work" "$(getconf CLK_TCK)" || status=1
echo "logs and raw figures: $work"
exit "$status"
