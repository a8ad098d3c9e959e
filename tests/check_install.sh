#!/bin/sh
# check_install.sh BUILD_DIRECTORY - installs into a temporary place and builds programs
# against what is there, found through pkg-config; checks that meson dist makes a tarball
# whose content configures.
set -eu
tests_directory=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
build=$1
place=$(mktemp -d "${TMPDIR:-/tmp}/faster-install.XXXXXX")
trap 'rm -rf "$place"' EXIT

DESTDIR=$place meson install -C "$build" --no-rebuild --quiet
pc=$(find "$place" -name faster.pc)
test -n "$pc"
version=$(sed -n 's/^Version: //p' "$pc")
grep -q "^#define FASTER_VERSION \"$version\"$" "$(find "$place" -name faster.h)" || {
  echo "faster.h has another version than meson.build, $version"
  exit 1
}
prefix=$(sed -n 's/^prefix=//p' "$pc")
pkg() {
  PKG_CONFIG_PATH=$(dirname -- "$pc") pkg-config --define-variable=prefix="$place$prefix" "$@"
}
cc -std=c11 -Wall -Werror $(pkg --cflags faster) "$tests_directory/install/consumer.c" \
  -o "$place/consumer" $(pkg --libs faster)
LD_LIBRARY_PATH=$(pkg --variable=libdir faster) "$place/consumer"
cc -std=c11 -Wall -Werror $(pkg --cflags faster) "$tests_directory/install/consumer.c" \
  -o "$place/consumer_static" "$(pkg --variable=libdir faster)/libfaster.a" \
  $(pkg --static --libs-only-l faster | sed 's/-lfaster//') -pthread
"$place/consumer_static"

test -f "$(find "$place" -name faster.so)"
cc -std=c11 -Wall -Werror $(pkg --cflags faster-sqlite) "$tests_directory/install/host.c" \
  -o "$place/host" $(pkg --libs faster-sqlite)
LD_LIBRARY_PATH=$(pkg --variable=libdir faster) "$place/host"
library=$(find "$place" -name libfaster_sqlite.a)
globals=$(nm --defined-only --extern-only "$library" | awk 'NF == 3 { print $3 }')
[ "$globals" = sqlite3_faster_init ] || {
  echo "libfaster_sqlite.a defines: $globals"
  exit 1
}
echo "installed files:"
(cd "$place" && find . -path '*lib*' -o -path '*include*' | sort | sed 's/^/  /')

# meson dist needs a git checkout.
if git -C "$tests_directory" rev-parse --git-dir >/dev/null 2>&1; then
  (cd "$tests_directory/.." && meson dist -C "$build" --no-tests --allow-dirty >/dev/null 2>&1)
  tar -xf "$build"/meson-dist/*.tar.xz -C "$place"
  meson setup "$place/from-dist" "$place"/faster-sqlite-* >"$place/setup.log" 2>&1 || {
    cat "$place/setup.log"
    exit 1
  }
  ls "$build"/meson-dist/*.tar.xz
fi
