#!/bin/bash
# KiB of memory (Pss) of a contender's processes, those of its database included unless `own` is said.   memory.sh WORK CONTENDER [own]
set -eu
work=$1 contender=$2
case $contender in
  peer) pids=$(BASE=$work/pd bash "$work/bench/setup-postfix-dovecot.sh" pids) ;;
  *) pids=$(cat "$work/$contender.pid") ;;
esac
if [ "$contender" = postgres ] && [ "${3:-}" != own ]; then
  pids="$pids $(bash "$(dirname "$0")/postgres.sh" pids "$work/postgres")"
fi
# shellcheck disable=SC2086  # a list of words
bash "$work/bench/pss.sh" $pids
