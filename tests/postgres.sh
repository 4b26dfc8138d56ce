#!/bin/sh
# A scratch PostgreSQL for tests: a cluster of its own in a temporary folder, on a free port of 127.0.0.1. Its processes may be
# killed, the machine under them is not switched off: what it wrote stands without fsync, which would cost a run minutes and prove no more.
#
#   postgres.sh serve            says `ready URL` and then obeys its standard input, a word a line, each answered by a line:
#                                `pids`, `stop` (immediate: as a crash), `start`, `freeze` (SIGSTOP), `thaw`. At the end of its input the
#                                server is stopped and its folder removed: whoever holds the other end of the pipe may die as it likes.
#   postgres.sh with COMMAND...  runs a command with such a server's URL in VAGUEMESTRE_TEST_POSTGRES; its exit code.
#   postgres.sh sql URL          runs the statements of its standard input and prints what they bring, unadorned.
#
# The URL names no database: append /NAME. Settings of the server beyond the usual: VAGUEMESTRE_TEST_POSTGRES_OPTIONS, as `postgres` takes them.
set -u

die() { echo "$*"; echo "postgres.sh: $*" >&2; exit 1; }

# The newest installed server.
binaries() {
  for dir in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -t/ -k5 -nr) $(echo "$PATH" | tr : ' '); do
    [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ] && [ -x "$dir/psql" ] && { echo "$dir"; return; }
  done
}
bin=$(binaries)
[ -n "$bin" ] || die "PostgreSQL is not installed: run tests/packages.sh, or set VAGUEMESTRE_TEST_ENGINE=sqlite"

# PostgreSQL refuses root: root gives way to `postgres` or `nobody`.
if [ "$(id -u)" -eq 0 ]; then
  user=$(getent passwd postgres >/dev/null && echo postgres || echo nobody)
  as_user() { exec setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups -- "$@"; }
else
  user=
  as_user() { exec "$@"; }
fi

random() { od -An -N4 -tu4 /dev/urandom | tr -d ' '; }

# Starts the server on the port at hand: 0 when it answers.
start() {
  rm -f data/postmaster.pid
  # shellcheck disable=SC2086  # a list of options
  (as_user "$bin/postgres" -D data -p "$port" ${VAGUEMESTRE_TEST_POSTGRES_OPTIONS:-}) </dev/null >>postgres.log 2>&1 &
  server=$!
  tries=0
  until grep -qs ready data/postmaster.pid; do
    tries=$((tries + 1))
    if [ $tries -gt 600 ] || ! kill -0 $server 2>/dev/null; then kill -QUIT $server 2>/dev/null; wait $server; return 1; fi
    sleep 0.05
  done
}

# The postmaster and its backends; each backend leads a session of its own.
pids() { echo "$server" $(ps -o pid= --ppid "$server"); }

stop() {
  # shellcheck disable=SC2046  # a list of numbers
  kill -CONT $(pids) 2>/dev/null
  kill -QUIT "$server" 2>/dev/null
  wait "$server" 2>/dev/null
}

serve() {
  dir=$(mktemp -d "${TMPDIR:-/tmp}/vaguemestre-postgres.XXXXXX") || die "no scratch folder"
  cd "$dir" || exit 1
  trap '' INT HUP TERM
  trap 'cd /; rm -rf "$dir"' EXIT
  password=$(random)$(random)
  echo "$password" >password
  [ -z "$user" ] || chown "$user" . password
  # ICU's French order on purpose: nothing may lean on the order of octets.
  (as_user "$bin/initdb" -D data -U postgres -A scram-sha-256 --pwfile=password -E UTF8 --locale=C --locale-provider=icu --icu-locale=fr-FR -N) \
    >initdb.log 2>&1 || die "initdb: $(tail -n 3 initdb.log | tr '\n' ' ')"
  cat >>data/postgresql.conf <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 400
shared_buffers = 64MB
max_wal_size = 512MB
fsync = off
full_page_writes = off
log_line_prefix = '%m [%p] %a %d '
CONF
  tries=0
  while :; do
    # Below the range that outgoing connections take theirs from: a restart finds it free again.
    port=$((10000 + $(random) % 2000))
    start && break
    tries=$((tries + 1))
    [ $tries -lt 20 ] && grep -q 'could not create any TCP/IP sockets' postgres.log || die "PostgreSQL did not start: $(tail -n 3 postgres.log | tr '\n' ' ')"
    : >postgres.log
  done
  echo "ready postgres://postgres:$password@127.0.0.1:$port"
  while read -r word; do
    # shellcheck disable=SC2046  # lists of numbers
    case $word in
      pids) pids ;;
      stop) stop; echo stopped ;;
      start) if start; then echo started; else echo "not started: $(tail -n 3 postgres.log | tr '\n' ' ')"; fi ;;
      freeze) kill -STOP "$server"; kill -STOP $(pids); echo frozen ;;
      thaw) kill -CONT $(pids); echo thawed ;;
      *) echo "not understood: $word" ;;
    esac
  done
  stop
}

with() {
  pipes=$(mktemp -d) || exit 1
  mkfifo "$pipes/in" "$pipes/out"
  "$0" serve <"$pipes/in" >"$pipes/out" &
  supervisor=$!
  exec 8>"$pipes/in"
  read -r word url <"$pipes/out" || word=
  rm -rf "$pipes"
  [ "$word" = ready ] || exit 1
  VAGUEMESTRE_TEST_POSTGRES=$url "$@" 8>&-
  code=$?
  exec 8>&-
  wait $supervisor
  return $code
}

case "${1:-}" in
  serve) serve ;;
  with) shift; with "$@" ;;
  sql) exec "$bin/psql" --no-psqlrc --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 "$2" ;;
  *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
