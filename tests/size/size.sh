#!/bin/sh
# SPDX-License-Identifier: MIT
# Code a target and configuration in bytes, linked with section garbage collection, compiler helpers counted, the four memory functions
# and the port not; then the modules of Cortex-M0+ one by one, and the RAM that a device's structs take there.
out=${B:-build}/size
mkdir -p "$out"

weigh() { # target, configuration, tool prefix, flags: prints text data bss
    prefix=$3 name=$1-$2
    shift 3
    # shellcheck disable=SC2086
    "${prefix}gcc" $* -std=c99 -Os -ffreestanding -ffunction-sections -fdata-sections -nostartfiles -nodefaultlibs \
        tests/size/firmware.c core/*.c -Wl,--gc-sections -Wl,-e,main -Wl,--defsym,memcpy=0 -Wl,--defsym,memmove=0 -Wl,--defsym,memset=0 \
        -Wl,--defsym,memcmp=0 -Wl,--defsym,config=0 -Wl,--defsym,row=0 -lgcc -o "$out/$name.elf" 2>"$out/$name.err" || {
        head -n 3 "$out/$name.err"
        echo "size_$name: does not link"
        return
    }
    "${prefix}size" "$out/$name.elf" | awk -v name="$name" 'NR == 2 { printf "size_%s %d bytes\n", name, $1 }'
}

for configuration in csv packed; do
    define=-DPLAIN
    [ "$configuration" = packed ] && { [ -e core/pack.c ] || continue; define=-DPACKED; }
    weigh cortex-m0plus $configuration arm-none-eabi- $define -mcpu=cortex-m0plus -mthumb
    weigh cortex-m3 $configuration arm-none-eabi- $define -mcpu=cortex-m3 -mthumb
    weigh rv32imc $configuration riscv64-unknown-elf- $define -march=rv32imc -mabi=ilp32
    weigh avr $configuration avr- $define -mmcu=atmega328p
    weigh x86-64 $configuration "" $define -fno-pic -no-pie -static
done

# The packed codecs alone; what a budget stands for fails above it. The decoder shares the encoder's models: counted is what it adds to an
# encoder for numbers.
failed=0
codec() { # symbols that are linked: prints bytes
    roots=
    for symbol in "$@"; do roots="$roots -Wl,-u,$symbol"; done
    # shellcheck disable=SC2086
    arm-none-eabi-gcc -mcpu=cortex-m0plus -mthumb -std=c99 -Os -ffreestanding -ffunction-sections -fdata-sections -nostartfiles \
        -nodefaultlibs core/pack*.c core/unpack.c -Wl,--gc-sections -Wl,-e,0 -Wl,--defsym,memcpy=0 -Wl,--defsym,memset=0 \
        -Wl,--defsym,tern_row_check=0 $roots -lgcc -o "$out/codec.elf" && arm-none-eabi-size "$out/codec.elf" | awk 'NR == 2 { print $1 }'
}
budget() { # name, bytes, most
    echo "size_$1 $2 bytes"
    [ "$2" -le "$3" ] && return
    echo "FAIL size_$1 is above its budget of $3 bytes"
    failed=1
}
unpack="tern_unpack_open tern_unpack_table tern_unpack_segment tern_unpack_next"
numbers=$(codec tern_packed)
# shellcheck disable=SC2086
{
    budget pack_numbers "$numbers" 1100
    budget pack_text_more $(($(codec tern_packed_text) - numbers)) 250
    budget unpack_more $(($(codec tern_packed $unpack) - numbers)) 1100
    echo "size_unpack_alone $(codec $unpack) bytes"
    echo "size_pack_text_unpack $(codec tern_packed_text $unpack) bytes"
}

for source in core/*.c; do
    object=$out/$(basename "$source" .c).o
    arm-none-eabi-gcc -mcpu=cortex-m0plus -mthumb -std=c99 -Os -ffreestanding -ffunction-sections -c "$source" -o "$object" || exit 1
done
arm-none-eabi-size "$out"/*.o | awk 'NR > 1 { sub(".*/", "", $6); sub("\\.o", "", $6); printf "module_%s %d bytes\n", $6, $1; if ($6 ~ /^log/) log_size += $1 }
    END { printf "module_log_all %d bytes\n", log_size }'
printf '#include "core/tern.h"\nchar size_tern[sizeof(struct tern)], size_lane[sizeof(struct tern_lane)], size_log[sizeof(struct tern_log)];\n' >"$out/ram.c"
arm-none-eabi-gcc -mcpu=cortex-m0plus -mthumb -I. -c "$out/ram.c" -o "$out/ram_structs.obj"
arm-none-eabi-nm -S "$out/ram_structs.obj" | while read -r _ size _ name; do
    echo "ram_${name#size_} $((0x$size)) bytes"
done
exit $failed
