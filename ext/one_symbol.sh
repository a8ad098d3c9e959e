#!/bin/sh
# one_symbol.sh ARCHIVE OUTPUT OBJCOPY AR COMPILER... - makes an archive of one object, in which
# only the entry of the extension is global: a program that links it may use any other name.
set -eu
archive=$1
output=$2
objcopy=$3
ar=$4
shift 4
"$@" -r -nostdlib -Wl,--whole-archive "$archive" -Wl,--no-whole-archive -o "$output.o"
"$objcopy" --keep-global-symbol=sqlite3_faster_init "$output.o"
rm -f "$output"
"$ar" crs "$output" "$output.o"
rm -f "$output.o"
