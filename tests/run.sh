#!/bin/sh
# All tests, with a summary. run.sh [all]
# What speaks to the running program is run on SQLite and on PostgreSQL; ENGINES="sqlite" leaves one out.
set -u
cd "$(dirname "$0")/.."
what=${1:-usual}
engines=${ENGINES:-sqlite postgres}
case $engines in
  # One PostgreSQL for the whole run, stopped at its end whatever happens.
  *postgres*) [ -n "${VAGUEMESTRE_TEST_POSTGRES:-}" ] || exec tests/postgres.sh with tests/run.sh "$@" ;;
esac
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
failed=0
passed=0
bad=0
step() { # name command...
  name=$1; shift
  start=$(date +%s)
  if "$@" >"$out/log" 2>&1; then result=ok; else result=FAILED; failed=1; fi
  # What is quoted from another program's report begins with a bar, and is not counted.
  p=$(grep -v '^|' "$out/log" | grep -Eo '[0-9]+ passed' | awk '{s+=$1} END {print s+0}')
  f=$(grep -v '^|' "$out/log" | grep -Eo '[0-9]+ failed' | awk '{s+=$1} END {print s+0}')
  # A step that could not even run its tests counts as one failure.
  [ "$result" = ok ] || [ "$f" -gt 0 ] || f=1
  passed=$((passed + p)); bad=$((bad + f))
  engine_passed=$((engine_passed + p)); engine_bad=$((engine_bad + f))
  printf '%-38s %-7s %4s passed %3s failed %5ss\n' "$name" "$result" "$p" "$f" "$(( $(date +%s) - start ))"
  grep -E '^crash:' "$out/log" | sed 's/^/    /'
  [ "$result" = ok ] || { tail -n 60 "$out/log" | cut -c 1-300 | sed 's/^/    /'; }
}
# Scenarios wait more than they work: five files run at once, the longest first, and what failed is shown last.
wire_scenarios() { # engine left out
  export left_out=$1 out
  rm -rf "$out/wire"; mkdir "$out/wire"
  # shellcheck disable=SC2086  # a list of words
  cargo test --quiet --no-run --workspace $scenarios || return 1
  # shellcheck disable=SC2016  # expanded by the inner shell
  printf '%s\n' queue api_roles trust_space $scenarios | grep -v '^--test$' | awk '!seen[$0]++' | xargs -P 5 -I{} sh -c '
    if cargo test --quiet --no-fail-fast --workspace --test {} -- --skip "$left_out" >"$out/wire/{}" 2>&1; then mv "$out/wire/{}" "$out/wire/0-{}"; else mv "$out/wire/{}" "$out/wire/1-{}"; fi'
  cat "$out"/wire/*
  # Which they were, where several failed.
  (cd "$out/wire" && grep -E -- '--- FAILED$|panicked at ' 1-* 2>/dev/null | cut -c 1-200)
  # Every file ran to its end, and well.
  [ "$(find "$out/wire" -name '0-*' | wc -l)" -eq "$(printf '%s\n' $scenarios | grep -vc '^--test$')" ]
}
engine_passed=0 engine_bad=0 totals=
# A failed assertion says where it stands; thirty frames of an executor say no more and push it out of sight.
export CARGO_TERM_PROGRESS_WHEN=never RUST_BACKTRACE=0
ulimit -n "$(ulimit -Hn)" 2>/dev/null || true
scenarios=$(ls tests/tests/*.rs tests/tests/*/main.rs | sed 's|/main\.rs$||; s|\.rs$||; s|.*/|--test |' | grep -v architecture)
contracts=$(ls crates/*/tests/*.rs crates/*/tests/*/main.rs 2>/dev/null | sed 's|/main.rs$||; s|.*/\([^/.]*\).*|--test \1|' | sort -u)
kills=20 clients=
if [ "$what" = all ]; then
  kills=200 clients=all
  export VAGUEMESTRE_TEST_OUTAGE_SECS=${VAGUEMESTRE_TEST_OUTAGE_SECS:-60}
fi
# The whole workspace, so that what is compiled here is what the tests need: one package alone has features of its own.
step "build" cargo build --quiet --workspace --bins
# Always the whole workspace, so that its dependencies are compiled once for all steps.
# shellcheck disable=SC2086  # a list of words
step "unit tests" cargo test --quiet --no-fail-fast --workspace --lib --bins $contracts
step "examples in the documentation" cargo test --quiet --workspace --doc
step "architecture" cargo test --quiet --workspace --test architecture
for engine in $engines; do
  export VAGUEMESTRE_TEST_ENGINE="$engine"
  # A scenario that is about one engine bears its name.
  case $engine in sqlite) other=postgres ;; *) other=sqlite ;; esac
  engine_passed=0 engine_bad=0
  step "wire scenarios ($engine)" wire_scenarios $other
  # shellcheck disable=SC2086  # a word or none
  step "clients ($engine)" python3 tests/clients/clients.py $clients
  # shellcheck disable=SC2086  # a word or none
  [ "$engine" = postgres ] && [ "$what" != all ] || step "judges of the REST API ($engine)" python3 tests/clients/api_judges.py $clients
  [ "$what" != all ] || step "Thunderbird ($engine)" python3 tests/clients/thunderbird.py
  [ "$what" != all ] || step "Postfix as another operator ($engine)" python3 tests/clients/postfix_peer.py
  [ "$what" != all ] || step "MIME corpus beside Dovecot ($engine)" python3 tests/clients/mime_corpus.py
  step "SIGKILL under load, $kills kills ($engine)" python3 tests/clients/crash.py $kills
  totals="$totals$(printf '%-38s %12s passed %3s failed' "on $engine" $engine_passed $engine_bad)
"
done
unset VAGUEMESTRE_TEST_ENGINE
[ "$what" != all ] || step "lints" make --no-print-directory lint
printf '%s' "$totals"
echo "$passed passed, $bad failed"
exit "$failed"
