#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs tests (programs, or scripts ending in .sh), each of which closes with `N passed, N failed[, N skipped]`, and closes with the sum.
# UNDER="valgrind ..." runs the programs under it; JOBS says how many tests run at a time, 2 if it does not.
# A test that ends without that line, or with a status that does not agree with it, counts as a failure.
passed=0 failed=0 skipped=0
logs=$(mktemp -d) || exit 1
trap 'rm -rf "$logs"' EXIT
export UNDER logs

# Each into a log of its own: what runs at once is not to be mixed.
cat >"$logs/run" <<'END'
log=$logs/$(echo "$1" | tr / _)
start=$(date +%s)
case $1 in
*.sh) sh "$1" >"$log" 2>&1 ;;
*) ${UNDER:-} "$1" >"$log" 2>&1 ;;
esac
echo $? >"$log.status"
echo $(($(date +%s) - start)) >"$log.seconds"
END
printf '%s\n' "$@" | xargs -P "${JOBS:-2}" -n 1 sh "$logs/run"

for test in "$@"; do
    log=$logs/$(echo "$test" | tr / _)
    echo "== $test, $(cat "$log.seconds") s"
    status=$(cat "$log.status")
    grep -v -E '^[0-9]+ passed, [0-9]+ failed' "$log"
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$' "$log" | tail -n 1)
    # shellcheck disable=SC2086
    set_counts() { p=$1 f=$3 s=${5:-0}; }
    if [ -z "$line" ]; then
        echo "FAIL $test ended with status $status and no closing line"
        failed=$((failed + 1))
        continue
    fi
    set_counts $(echo "$line" | tr -d ,)
    if [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then
        echo "FAIL $test ended with status $status"
        f=1
    fi
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done
if [ "$skipped" -ne 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ] && [ "$passed" -ne 0 ]
