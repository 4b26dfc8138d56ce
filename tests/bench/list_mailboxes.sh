#!/bin/sh
# Fills a store with mailboxes and measures pages of their list over REST, each filter and each order, on SQLite and on PostgreSQL.
#
#   list_mailboxes.sh [BINARY]     target/release/vaguemestre, if not told
#
# Environment: ROWS (100000 mailboxes), PAGES (40 of each list), ENGINES (sqlite postgres). The demo runs on free ports, in a temporary folder; mailboxes are
# put into its database directly: half of them in one domain, one in a hundred suspended. Prints p50, p95 and max of a page of 50 in milliseconds, over one
# connection with TLS.
set -eu
cd "$(dirname "$0")/../.."
binary=${1:-target/release/vaguemestre}
[ -x "$binary" ] || { echo "there is no $binary; run make release, or name another" >&2; exit 1; }
for engine in ${ENGINES:-sqlite postgres}; do
  case $engine in
    sqlite) python3 tests/bench/list_mailboxes.py "$binary" "${ROWS:-100000}" "${PAGES:-40}" ;;
    postgres) tests/postgres.sh with python3 tests/bench/list_mailboxes.py "$binary" "${ROWS:-100000}" "${PAGES:-40}" ;;
  esac
done
