#!/bin/sh
# SPDX-License-Identifier: MIT
# Static analysis, a line a tool: clang-tidy (what it looks for, and what not and why, is in .clang-tidy), cppcheck, gcc's analyzer.
set -u
out=${B:-build}/lint
mkdir -p "$out"
passed=0 failed=0
core=$(ls core/*.c) host=$(ls host/*.c host/sql/*.c port/*.c port/posix/*.c)

tidy() {
    # shellcheck disable=SC2086
    printf '%s\n' $core | xargs -P 2 -I {} clang-tidy --quiet {} -- -std=c99 -ffreestanding 2>/dev/null &&
        printf '%s\n' $host | xargs -P 2 -I {} clang-tidy --quiet {} -- -std=c11 -D_GNU_SOURCE 2>/dev/null
}

check() {
    # shellcheck disable=SC2086
    cppcheck -q -j2 --enable=warning,performance,portability --inline-suppr --std=c11 --suppress=missingIncludeSystem \
        --error-exitcode=1 $core $host 2>&1
}

# Leaks are left to LeakSanitizer and the simulation, which see what is really freed: gcc 12 takes a struct that is known by its first
# member, or by what realloc() gave, for lost.
analyze() {
    # shellcheck disable=SC2086
    printf '%s\n' $core $host | xargs -P 2 -I {} gcc -std=gnu11 -D_GNU_SOURCE -O1 -fanalyzer -Wno-analyzer-malloc-leak -Werror -c {} -o /dev/null 2>&1
}

for tool in tidy check analyze; do
    if "$tool" >"$out/$tool.log"; then
        echo "ok   lint: $tool"
        passed=$((passed + 1))
    else
        echo "FAIL lint: $tool"
        cat "$out/$tool.log"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
