#!/bin/sh
# All tests, with a summary. run.sh [all]
set -u
cd "$(dirname "$0")/.."
what=${1:-usual}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
failed=0
passed=0
bad=0
step() { # name command...
  name=$1; shift
  start=$(date +%s)
  if "$@" >"$out/log" 2>&1; then result=ok; else result=FAILED; failed=1; fi
  p=$(grep -Eo '[0-9]+ passed' "$out/log" | awk '{s+=$1} END {print s+0}')
  f=$(grep -Eo '[0-9]+ failed' "$out/log" | awk '{s+=$1} END {print s+0}')
  passed=$((passed + p)); bad=$((bad + f))
  printf '%-34s %-7s %4s passed %3s failed %5ss\n' "$name" "$result" "$p" "$f" "$(( $(date +%s) - start ))"
  grep -E '^crash:' "$out/log" | sed 's/^/    /'
  [ "$result" = ok ] || { tail -n 60 "$out/log" | sed 's/^/    /'; }
}
export CARGO_TERM_PROGRESS_WHEN=never
ulimit -n "$(ulimit -Hn)" 2>/dev/null || true
step "build" cargo build --quiet -p vaguemestre
step "unit tests" cargo test --quiet --no-fail-fast --workspace --exclude scenarios
step "wire scenarios" cargo test --quiet --no-fail-fast -p scenarios
step "clients" python3 tests/clients/clients.py
step "SIGKILL under load, 20 kills" python3 tests/clients/crash.py 20
if [ "$what" = all ]; then
  step "every client" python3 tests/clients/clients.py all
  step "lints" make --no-print-directory lint
  step "SIGKILL under load, 200 kills" python3 tests/clients/crash.py 200
fi
# A step that could not even run its tests counts as one failure.
[ "$failed" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
echo "$passed passed, $bad failed"
exit "$failed"
