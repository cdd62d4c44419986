#!/bin/sh
# Installs migrate-mongo for the bench of 21-102 (npm, by the lock beside this script), and prints the folder that it is in.
# Users need none of this. Once for each lock, outside the tree: ${XDG_CACHE_HOME:-~/.cache}/lnm-ci-migrate-mongo/<hash>/. The
# registry is the one that npm is set up for; no script of a package is run.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
key=$(cat "$here/package.json" "$here/package-lock.json" | sha256sum | cut -c1-16)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/lnm-ci-migrate-mongo
out=$cache/$key
if [ ! -e "$out/done" ]; then
    command -v npm >/dev/null || { echo "ci/migrate-mongo: npm is not on the PATH; migrate-mongo is not installed" >&2; exit 4; }
    echo "ci/migrate-mongo: installing migrate-mongo by its lock $key (once, a few seconds)" >&2
    mkdir -p "$cache"
    part=$(mktemp -d "$cache/part.XXXXXX")
    trap 'rm -rf "$part"' EXIT
    cp "$here/package.json" "$here/package-lock.json" "$part/"
    (cd "$part" && npm ci --ignore-scripts --omit=optional --no-audit --no-fund --loglevel=error) >&2
    touch "$part/done"
    # who else installed it meanwhile has made the same
    [ -e "$out/done" ] || mv -T "$part" "$out" 2>/dev/null || [ -e "$out/done" ]
fi
echo "$out"
