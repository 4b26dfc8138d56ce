#!/bin/bash
# A PostgreSQL of our own in a scratch folder, as durable as in production: fsync and synchronous_commit stay on.
#   postgres.sh start DIR PORT | stop DIR | pids DIR       root; the server runs as the user `postgres`
set -eu
command=$1 dir=$2
programs=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
[ -n "$programs" ] || { echo "PostgreSQL is not installed" >&2; exit 1; }
as_user() { (cd / && runuser -u postgres -- "$@"); }
case $command in
  start)
    install -d -o postgres -m 700 "$dir"
    as_user "$programs/initdb" --pgdata "$dir/data" --username vaguemestre --auth trust --encoding UTF8 --no-locale
    cat >>"$dir/data/postgresql.conf" <<CONF
port = $3
listen_addresses = '127.0.0.1'
unix_socket_directories = '$dir'
fsync = on
synchronous_commit = on
CONF
    as_user "$programs/pg_ctl" --pgdata "$dir/data" --log "$dir/log" --wait start
    as_user "$programs/createdb" --host 127.0.0.1 --port "$3" --username vaguemestre vaguemestre ;;
  stop) as_user "$programs/pg_ctl" --pgdata "$dir/data" --mode fast --wait stop ;;
  pids)
    master=$(head -n 1 "$dir/data/postmaster.pid")
    echo "$master"
    pgrep -P "$master" ;;
esac
