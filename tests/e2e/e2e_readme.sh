#!/bin/sh
# SPDX-License-Identifier: MIT
# The README's C compiles as it stands there: the firmware freestanding, the gateway linked with the library.
passed=0 failed=0
out=build/readme
mkdir -p "$out"

block() { # the nth block of C in a README, that of the top if none is named
    awk -v wanted="$1" '/^ *```c$/ { n++; inside = 1; next } /^ *```$/ { inside = 0 } inside && n == wanted' "${2:-README.md}"
}

verdict() { # status, name
    if [ "$1" -eq 0 ]; then
        echo "ok   $2"
        passed=$((passed + 1))
    else
        echo "FAIL $2"
        failed=$((failed + 1))
    fi
}

{ block 1; block 2; } >"$out/firmware.c"
block 3 >"$out/gateway.c"
[ -s "$out/firmware.c" ] && "${CC:-cc}" -std=c99 -Wall -Wextra -Werror -ffreestanding -I. -c "$out/firmware.c" -o "$out/firmware.o"
verdict $? "the README's firmware compiles"
"${CC:-cc}" -std=c11 -Wall -Wextra -Werror -I. tests/firmware/readme.c tests/nor.c build/libtern.a -o "$out/run" && "$out/run"
verdict $? "the README's firmware, run over a slow flash, records each sample once"
{
    printf '#include "port/memory.h"\n#include "port/port_check.h"\n'
    printf 'extern const uint8_t LOG_BEGIN[];\nint chip_program(const uint8_t *to, const void *data, uint32_t size);\nint chip_erase(const uint8_t *sector);\n'
    block 1 port/README.md
    printf 'extern const struct tern_link board_link;\nextern const struct tern_clock board_clock;\nint check(void);\nint check(void)\n{\n'
    block 2 port/README.md
    printf 'return (int)fault;\n}\n'
} >"$out/port.c"
grep -q 'sector_size = ' "$out/port.c" && grep -q 'tern_port_check(' "$out/port.c" &&
    "${CC:-cc}" -std=c99 -Wall -Wextra -Werror -Wno-unused-parameter -ffreestanding -I. -c "$out/port.c" -o "$out/port.o"
verdict $? "the flash functions and the self-test of port/README.md compile"
[ -s "$out/gateway.c" ] && "${CC:-cc}" -std=c11 -Wall -Wextra -Werror -I. "$out/gateway.c" build/libtern_host.a -pthread -ldl -lm -o "$out/gateway"
verdict $? "the README's gateway compiles and links"
if command -v "${CXX:-c++}" >/dev/null 2>&1; then
    printf '#include "core/tern.h"\n#include "host/tern_host.h"\nstatic const struct tern_column c[] = {{"a", TERN_U8, TERN_KEY}};\nextern const struct tern_table t;\nconst struct tern_table t = TERN_TABLE("t", TERN_MERGE, c);\nint main() { return tern_int(0).is_null; }\n' >"$out/cxx.cc"
    "${CXX:-c++}" -std=c++17 -Wall -Wextra -Wpedantic -Werror -I. -c "$out/cxx.cc" -o "$out/cxx.o"
    verdict $? "the public headers compile as C++17"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
