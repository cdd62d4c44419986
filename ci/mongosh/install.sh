#!/bin/sh
# Installs the shell that tests run the kit's mongosh script with (npm, by the lock beside this script), and prints its path.
# Users need none of this. Once for each lock, outside the tree: ${XDG_CACHE_HOME:-~/.cache}/lnm-ci-mongosh/<hash>/. The registry
# is the one that npm is set up for; no script of a package is run, and the add-ons that would have to be compiled are left out.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
key=$(cat "$here/package.json" "$here/package-lock.json" | sha256sum | cut -c1-16)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/lnm-ci-mongosh
out=$cache/$key
if [ ! -e "$out/done" ]; then
    command -v npm >/dev/null || { echo "ci/mongosh: npm is not on the PATH; mongosh is not installed" >&2; exit 4; }
    echo "ci/mongosh: installing mongosh by its lock $key (once, about 25 seconds)" >&2
    mkdir -p "$cache"
    part=$(mktemp -d "$cache/part.XXXXXX")
    trap 'rm -rf "$part"' EXIT
    cp "$here/package.json" "$here/package-lock.json" "$part/"
    (cd "$part" && npm ci --ignore-scripts --omit=optional --no-audit --no-fund --loglevel=error) >&2
    touch "$part/done"
    # who else installed it meanwhile has made the same
    [ -e "$out/done" ] || mv -T "$part" "$out" 2>/dev/null || [ -e "$out/done" ]
fi
echo "$out/node_modules/.bin/mongosh"
