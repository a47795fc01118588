#!/bin/sh
# SPDX-License-Identifier: MIT
# Branches taken a file, by the unit and property tests and the power cuts: a line `branch_coverage_FILE V percent` for each.
set -u
out=build/coverage
command -v gcovr >/dev/null 2>&1 || {
    echo "coverage: gcovr is missing; install the package gcovr"
    exit 1
}
find "$out" -name '*.gcda' -delete 2>/dev/null
make -s B="$out" CC=gcc CFLAGS="-O0 -g --coverage" coverage-tests || exit 1
for test in "$out"/tests/unit/test_* "$out"/tests/property/* "$out"/tests/sim/*; do
    case $test in *.o | *.d | *.gcno | *.gcda) continue ;; esac
    "$test" >"$out/log" 2>&1 || {
        echo "coverage: $test failed"
        tail -n 5 "$out/log"
        exit 1
    }
done
gcovr --root . --object-directory "$out" --filter 'core/' --filter 'host/' --branches --exclude-throw-branches --csv 2>/dev/null |
    awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
        { total = $column["branch_total"]; if (total > 0) printf "branch_coverage_%s %.1f percent\n", $column["filename"], 100 * $column["branch_covered"] / total }'
