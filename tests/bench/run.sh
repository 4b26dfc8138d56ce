#!/bin/bash
# Measures this server, on SQLite and on PostgreSQL, beside Postfix + Dovecot: all in one run, alternating, on this machine. Policy is never switched off: client
# certificate, revocation list and white list are enforced on our side, and Postfix asks for the certificate too.
#
#   run.sh [ROUNDS]       rounds of each section, 3 if not told; QUICK=1: one round of small counts, to see that everything runs
#
# Environment: SECTIONS (idle drain large e2e fetch search mix cold), CONTENDERS (sqlite postgres peer), BINARY (target/release/vaguemestre), BENCH_DIR (the load driver and the
# peer's set-up, ../shared/bench), MB (the driver, built here if not told), TMPDIR (where everything is put; not a tmpfs), and the counts below.
#
# Needs root: Postfix, limits for the peer's IMAP processes, PostgreSQL as a user of its own. Needs the Debian packages postfix dovecot-imapd dovecot-lmtpd postgresql
# (their own services are not used and must not run).
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
[ "$(id -u)" -eq 0 ] || { echo "this needs root: Postfix and PostgreSQL are started as users of their own" >&2; exit 1; }
if [ -n "${QUICK:-}" ]; then
  : "${DRAIN_COUNT:=500}" "${LARGE_COUNT:=10}" "${E2E_COUNT:=5}" "${FETCH_COUNT:=1000}" "${SEARCH_COUNT:=1000}" "${IDLE_CONNECTIONS:=100}" "${COLD_COUNT:=2000}" "${MIX_SECS:=5}" "${ROUNDS:=1}"
fi
rounds=${1:-${ROUNDS:-3}}
sections=${SECTIONS:-idle drain large e2e fetch search mix cold}
contenders=${CONTENDERS:-sqlite postgres peer}
drain_count=${DRAIN_COUNT:-5000}         # messages of 10 KiB on 10 connections
large_count=${LARGE_COUNT:-60}           # messages of 5 MiB on 10 connections
e2e_count=${E2E_COUNT:-20}               # submissions that an IDLE client waits for
fetch_count=${FETCH_COUNT:-10000}        # messages of 10 KiB in one folder
search_count=${SEARCH_COUNT:-10000}      # messages of 10 KiB in each of two folders, one of them French
idle_connections=${IDLE_CONNECTIONS:-1000}
mix_secs=${MIX_SECS:-15}                 # of 20 connections that do what mail clients do
cold_count=${COLD_COUNT:-100000}         # messages of 2 KiB in the store, besides what the other sections left
binary=${BINARY:-$root/target/release/vaguemestre}
[ -x "$binary" ] || { echo "there is no $binary; run make release, or set BINARY" >&2; exit 1; }
bench=$(cd "${BENCH_DIR:-../shared/bench}" 2>/dev/null && pwd) || { echo "the load driver is not in ${BENCH_DIR:-../shared/bench}; set BENCH_DIR" >&2; exit 1; }
work=$(mktemp -d -t vaguemestre-bench.XXXXXX)
[ "$(stat -f -c %T "$work")" != tmpfs ] || { echo "$work is on a tmpfs, where nothing is durable; set TMPDIR" >&2; exit 1; }
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

has() { case " $1 " in *" $2 "*) true ;; *) false ;; esac; }
serves() { has "$contenders" "$1"; }

# ---- the contenders

base_of() { case $1 in sqlite) echo 4000 ;; postgres) echo 6000 ;; peer) echo 2000 ;; esac; }
tls_of() { case $1 in peer) echo "$BASE/tls" ;; *) echo "$work/tls" ;; esac; }

prepare() { # CONTENDER
  case $1 in
    peer) bash "$peer" setup ;;
    postgres)
      bash tests/bench/postgres.sh start "$work/postgres" 6432 || return 1
      STORE_URL="postgres://vaguemestre@127.0.0.1:6432/vaguemestre" sh tests/bench/setup.sh "$binary" "$work/operator-$1" "$work/tls" 6000 ;;
    sqlite) STORE_URL="" sh tests/bench/setup.sh "$binary" "$work/operator-$1" "$work/tls" 4000 ;;
  esac
}

start() { # CONTENDER
  case $1 in
    peer) bash "$peer" start ;;
    *)
      "$binary" serve --config "$work/operator-$1/vaguemestre.toml" --log warn >>"$work/serve-$1.log" 2>&1 &
      echo $! >"$work/$1.pid" ;;
  esac
  python3 tests/bench/cold.py wait "$(($(base_of "$1") + 525))" "$(($(base_of "$1") + 143))"
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
  ! serves postgres || bash tests/bench/postgres.sh stop "$work/postgres" >>"$work/log" 2>&1 </dev/null
  [ -z "${instances:-}" ] || echo "$instances" >/proc/sys/fs/inotify/max_user_instances
}
trap finish EXIT
trap 'exit 1' INT TERM

# ---- one measurement: a line of JSON in the contender's file

drive() { # CONTENDER LABEL DRIVER-ARGUMENTS...
  local who=$1 label=$2 tls
  shift 2
  tls=$(tls_of "$who")
  timeout 900 "$MB" "$@" --label "$label" --ca "$tls/ca.pem" --users-fmt "u%03d@bench.test" --pass secret --imap-port "$(($(base_of "$who") + 143))" \
    >>"$work/$who.jsonl" 2>>"$work/log" </dev/null || echo "{\"label\":\"$label\",\"failed\":\"$1\"}" >>"$work/$who.jsonl"
}
mx() { # CONTENDER LABEL DRIVER-ARGUMENTS...
  local who=$1 label=$2 tls
  shift 2
  tls=$(tls_of "$who")
  drive "$who" "$label" smtp-in --port "$(($(base_of "$who") + 525))" --cert "$tls/client.pem" --key "$tls/client.key" --users 20 --conns 10 --wait-visible "$@"
}
imap() { # CONTENDER LABEL COMMAND DRIVER-ARGUMENTS...
  local who=$1 label=$2 command=$3
  shift 3
  drive "$who" "$label" "$command" --port "$(($(base_of "$who") + 143))" "$@"
}
memory() { # CONTENDER LABEL
  local measure=(bash tests/bench/memory.sh "$work" "$1")
  echo "{\"label\":\"$2\",\"pss_kib\":$("${measure[@]}"),\"own_pss_kib\":$("${measure[@]}" own)}" >>"$work/$1.jsonl"
}

# ---- the sections; each is called once for each contender in each round

section_drain() { mx "$1" drain --size 10k --count "$drain_count"; }
section_large() { mx "$1" large --size 5m --count "$large_count"; }
section_e2e() { drive "$1" e2e e2e --port "$(($(base_of "$1") + 587))" --users 2 --count "$e2e_count" --gap-ms 700 --size 4k; }
section_fetch() {
  [ "$2" -gt 1 ] || imap "$1" fill imap-fill --user-start 30 --mailbox Big --create --count "$fetch_count" --size 10k
  # The first of the driver's rounds warms up and is not counted.
  imap "$1" fetch imap-fetch --user-start 30 --mailbox Big --rounds 3
}
section_idle() {
  # The server is a new one, and as many connections are held meanwhile: memory that earlier work freed and kept would hide what is measured.
  { stop "$1"; start "$1"; } >>"$work/log" 2>&1 </dev/null
  local holder port tls
  : >"$work/held"
  port=$(($(base_of "$1") + 143)) tls=$(tls_of "$1")
  "$MB" idle --port "$port" --ca "$tls/ca.pem" --users-fmt "u%03d@bench.test" --pass secret --users 100 --conns "$idle_connections" --settle 0 --hold 900 \
    >>"$work/log" 2>"$work/held" </dev/null &
  holder=$!
  until grep -q READY "$work/held" || ! kill -0 "$holder" 2>/dev/null; do sleep 0.2; done
  imap "$1" idle idle --users 100 --conns "$idle_connections" --settle 4 --probe-cmd "bash $root/tests/bench/memory.sh $work $1"
  kill "$holder" 2>/dev/null || echo "{\"label\":\"idle\",\"failed\":\"the connections that were held broke\"}" >>"$work/$1.jsonl"
  wait "$holder" 2>/dev/null || true
  sleep 3
}
section_search() {
  local port=$(($(base_of "$1") + 143)) ca who=$1
  ca=$(tls_of "$who")/ca.pem
  searches() { python3 tests/bench/search.py "$1" "$port" "$ca" u031@bench.test "$2" "$3" >>"$work/$who.jsonl" 2>>"$work/log" </dev/null; }
  if [ "$2" -le 1 ]; then
    imap "$who" fill-search imap-fill --user-start 31 --mailbox Words --create --count "$search_count" --size 10k
    searches fill French "$search_count"
  fi
  # The first of each search is the first after a start: the one of a word that is not there, for the others find what it read in memory.
  { stop "$who"; start "$who"; } >>"$work/log" 2>&1 </dev/null
  searches measure Words driver && searches measure French french || echo '{"label":"search","failed":"search.py"}' >>"$work/$who.jsonl"
}
# The same seed for all: the same commands in the same order.
section_mix() { imap "$1" mix imap-mix --users 20 --user-start 40 --conns 20 --secs "$mix_secs" --seed 300; }
section_cold() {
  [ "$2" -gt 1 ] || imap "$1" cold-fill imap-fill --users 10 --conns 10 --user-start 80 --mailbox Cold --create --count "$cold_count" --size 2k
}

cold_starts() { # CONTENDER
  local mx=$(($(base_of "$1") + 525)) imap=$(($(base_of "$1") + 143))
  case $1 in
    peer) python3 tests/bench/cold.py measure "$mx" "$imap" "dovecot -c $BASE/dovecot/dovecot.conf && postfix -c $BASE/postfix/etc start" "bash $peer stop" ;;
    *) python3 tests/bench/cold.py measure "$mx" "$imap" "exec $binary serve --config $work/operator-$1/vaguemestre.toml --log warn" ;;
  esac >>"$work/$1.jsonl"
}

# ---- the run

ulimit -n "$(ulimit -Hn)"
instances=$(cat /proc/sys/fs/inotify/max_user_instances)
# Each of the peer's IMAP processes in IDLE takes one.
echo 65536 >/proc/sys/fs/inotify/max_user_instances
bash "$work/bench/make-certs.sh" "$work/tls" >>"$work/log" 2>&1
for contender in $contenders; do
  # Daemons keep the standard output that they are given.
  { prepare "$contender" && start "$contender"; } >>"$work/log" 2>&1 </dev/null || { tail -n 20 "$work/log" >&2; echo "$contender did not start; logs: $work" >&2; exit 1; }
done
sleep 3
for contender in $contenders; do memory "$contender" rest; done
for section in $sections; do
  for round in $(seq "$rounds"); do
    echo "$(date +%T) $section, round $round of $rounds" >&2
    for contender in $contenders; do "section_$section" "$contender" "$round"; done
  done
done
sleep 5
for contender in $contenders; do memory "$contender" after; done
for contender in $contenders; do [ "$contender" = peer ] || awk '/VmHWM/ {printf "{\"label\":\"peak\",\"kib\":%s}\n", $2}' "/proc/$(cat "$work/$contender.pid")/status" >>"$work/$contender.jsonl"; done
if has "$sections" cold; then
  for contender in $contenders; do stop "$contender" >>"$work/log" 2>&1 </dev/null; done
  for round in $(seq "$rounds"); do
    echo "$(date +%T) cold start, round $round of $rounds" >&2
    for contender in $contenders; do cold_starts "$contender"; done
  done
fi
echo "$rounds rounds; drain $drain_count, large $large_count, e2e $e2e_count, fetch $fetch_count, search $search_count, mix ${mix_secs} s, idle $idle_connections, cold $cold_count; load $(cut -d' ' -f1-3 /proc/loadavg)"
status=0
python3 tests/bench/report.py "$work" || status=1
echo "logs and raw figures: $work"
exit "$status"
