#!/bin/sh
# SPDX-License-Identifier: MIT
# core/ compiled for four targets with no library and no header but the compiler's own. What it leaves undefined may be memcpy, memmove,
# memset, memcmp and the compiler's helpers, nothing else; and there is no data that changes.
passed=0 failed=0
out=${B:-build}/freestanding

check() { # name, compiler, nm, size, flags...
    name=$1 cc=$2 nm=$3 size=$4
    shift 4
    if ! command -v "$cc" >/dev/null 2>&1; then
        echo "FAIL $name: $cc is missing; install its package"
        failed=$((failed + 1))
        return
    fi
    mkdir -p "$out/$name"
    include=$("$cc" -print-file-name=include)
    objects=
    for source in core/*.c; do
        object=$out/$name/$(basename "$source" .c).o
        "$cc" "$@" -std=c99 -Os -ffreestanding -nostdinc -isystem "$include" -ffunction-sections -fdata-sections -Wall -Wextra \
            -Wpedantic -Wconversion -Wshadow -Werror -c "$source" -o "$object" || {
            echo "FAIL $name: $source does not compile freestanding"
            failed=$((failed + 1))
            return
        }
        objects="$objects $object"
    done
    # shellcheck disable=SC2086
    defined=$("$nm" --defined-only -g $objects | awk 'NF == 3 { print $3 }' | sort -u)
    # shellcheck disable=SC2086
    foreign=$("$nm" -u $objects | awk '$1 == "U" { print $2 }' | sort -u | while read -r symbol; do
        echo "$defined" | grep -qx -- "$symbol" && continue
        case $symbol in
        memcpy | memmove | memset | memcmp) ;;
        __aeabi_* | __gnu_thumb1_case_* | __*di3 | __*si3 | __*si4 | __*hi3 | __*hi4 | __*qi3 | __*di2 | __*si2 | __riscv_* | __tablejump2__ | __*di*_s8 | __do_copy_data | __do_clear_bss | \
            __mulsi3 | __prologue_saves__ | __epilogue_restores__) ;;
        *) echo "$symbol" ;;
        esac
    done)
    # shellcheck disable=SC2086
    ram=$("$size" $objects | awk 'NR > 1 { sum += $2 + $3 } END { print sum }')
    if [ "$name" = avr ]; then
        ram=0 # avr-gcc counts constants as data; tests/size/size.py looks at what a firmware links
    fi
    if [ -n "$foreign" ]; then
        echo "FAIL $name: undefined symbols beyond the allow-list:" $foreign
        failed=$((failed + 1))
    elif [ "$ram" != 0 ]; then
        echo "FAIL $name: $ram bytes of data and bss"
        failed=$((failed + 1))
    else
        echo "ok   core is freestanding on $name"
        passed=$((passed + 1))
    fi
}

check x86-64 "${CC:-cc}" nm size -fno-stack-protector -fno-pic
check cortex-m0plus arm-none-eabi-gcc arm-none-eabi-nm arm-none-eabi-size -mcpu=cortex-m0plus -mthumb
check rv32imc riscv64-unknown-elf-gcc riscv64-unknown-elf-nm riscv64-unknown-elf-size -march=rv32imc -mabi=ilp32
check avr avr-gcc avr-nm avr-size -mmcu=atmega328p
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
