#!/bin/sh
# Installs the npm program of ci/NAME by the lock there, and prints the folder that it is in: `sh ci/npm.sh mongosh`.
# mongosh runs the kit's script in tests, sigstore-js signs and verifies there, migrate-mongo stands beside 21-102 in a bench; users need
# none of them. Once for each lock, outside the tree: ${XDG_CACHE_HOME:-~/.cache}/lnm-ci-NAME/<hash>/. The registry is the one that npm is
# set up for; no script of a package is run, and add-ons that would have to be compiled are left out.
set -eu
name=${1:?usage: sh ci/npm.sh NAME}
here=$(cd "$(dirname "$0")" && pwd)/$name
[ -e "$here/package-lock.json" ] || { echo "ci/npm.sh: there is no ci/$name/package-lock.json" >&2; exit 4; }
key=$(cat "$here/package.json" "$here/package-lock.json" | sha256sum | cut -c1-16)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/lnm-ci-$name
out=$cache/$key
if [ ! -e "$out/done" ]; then
    command -v npm >/dev/null || { echo "ci/npm.sh: npm is not on the PATH; $name is not installed" >&2; exit 4; }
    echo "ci/npm.sh: installing $name by its lock $key (once, up to half a minute)" >&2
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
