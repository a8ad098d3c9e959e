#!/bin/sh
# run.sh EXTENSION CACHE_DIRECTORY - installs better-sqlite3 into the cache directory if it
# is not there, and runs client.js. Exit code 77, with the reason, if that is impossible.
set -u
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
extension=$1
cache=$2

skip() {
  echo "$1"
  exit 77
}

command -v node >/dev/null 2>&1 || skip "node is missing (Debian: nodejs)"
usable() {
  cmp -s "$here/package.json" "$cache/package.json" &&
    (cd "$cache" && node -e 'const D = require("better-sqlite3"); new D(":memory:").close()') \
      >/dev/null 2>&1
}
if ! usable; then
  command -v npm >/dev/null 2>&1 || skip "npm is missing (Debian: npm)"
  rm -rf "$cache"
  mkdir -p "$cache" && cp "$here/package.json" "$cache" || skip "cannot write $cache"
  (cd "$cache" && npm install --no-audit --no-fund >install.log 2>&1)
  usable || {
    tail -n 20 "$cache/install.log"
    skip "npm could not install better-sqlite3, neither as a binary nor from source"
  }
fi
NODE_PATH=$cache/node_modules exec node "$here/client.js" "$extension"
