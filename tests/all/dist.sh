#!/bin/sh
# SPDX-License-Identifier: MIT
# The pair of files that `make dist` writes: compiles without a warning, is as small as the folder, and makes the three images, of which
# the micro:bit's is run.
passed=0 failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

verdict() { # status, sentence
    [ "$1" -eq 0 ] && passed=$((passed + 1)) && echo "ok   $2" && return
    failed=$((failed + 1))
    echo "FAIL $2"
}

make -s dist
for compiler in gcc clang; do
    "$compiler" -std=c99 -O2 -ffreestanding -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -c build/dist/tern.c -o "$work/tern.o"
    verdict $? "tern.c compiles with $compiler without a warning"
done

# What somebody has who dropped the two files in.
mkdir "$work/core"
cp -r port "$work/port"
cp build/dist/tern.c build/dist/tern.h "$work/core/"
for board in microbit riscv avr; do
    make -s -C "$work/port/$board" OUT="$work/pair" >"$work/pair.size" 2>&1
    verdict $? "the image of $board builds from the pair"
    make -s -C "port/$board" OUT="$work/folder" >"$work/folder.size" 2>&1
    pair=$(awk 'END { print $1 }' "$work/pair.size")
    folder=$(awk 'END { print $1 }' "$work/folder.size")
    echo "     text: $pair bytes from the pair, $folder from the folder"
    [ "$pair" -le "$folder" ]
    verdict $? "the pair makes no larger image of $board than the folder"
done
IMAGE_FOLDER=$work/run BOARDS=$work/port CUTS=5 sh tests/all/firmware_microbit.sh >"$work/run.log" 2>&1
status=$?
[ "$status" -eq 0 ] || cat "$work/run.log"
verdict "$status" "the image from the pair runs: 1,500 rows through 5 resets"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
