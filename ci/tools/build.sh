#!/bin/sh
# Builds a foreign eye from a hash-locked Go module and prints the folder it is in: cosign 3 from the module beside this script, which is CI's,
# or, with an argument, those of the module in the folder of that name: `cosign2` (cosign 2, for `nox -s foreign`), `mongo` (mongodump,
# mongorestore and bsondump, for the tests of backups).
# Users need none of this. Built once for each go.sum, outside the tree: ${XDG_CACHE_HOME:-~/.cache}/lnm-ci-tools/<hash>/.
set -eu
here=$(cd "$(dirname "$0")/${1:-.}" && pwd)
key=$(cat "$here/go.mod" "$here/go.sum" | sha256sum | cut -c1-16)
out=${XDG_CACHE_HOME:-$HOME/.cache}/lnm-ci-tools/$key
# a tool of go.mod stands in a line of its own, or in one of a block; `…/cmd/cosign` and `…/mongodump/main` are called after what they are
for package in $(sed -n -e 's/^tool \([^(]*\)$/\1/p' -e '/^tool ($/,/^)$/s/^\t//p' "$here/go.mod"); do
    name=$(basename "${package%/main}")
    [ ! -x "$out/$name" ] || continue
    command -v go >/dev/null || { echo "ci/tools: go is not on the PATH; $name is not built" >&2; exit 4; }
    echo "ci/tools: building $package from go.sum $key (once; cosign about 3 minutes on 2 cores)" >&2
    mkdir -p "$out"
    # -mod=readonly: a go.mod or go.sum that would have to change is an error
    (cd "$here" && GOFLAGS="-mod=readonly -trimpath -buildvcs=false" go build -o "$out/$name.part" "$package") >&2
    mv "$out/$name.part" "$out/$name"
done
echo "$out"
