#!/bin/sh
# Builds a foreign eye (real cosign) from a hash-locked Go module and prints the folder it is in: cosign 3 from the module beside this script, which is CI's,
# or, with the argument `cosign2`, cosign 2 from the module in the folder of that name, which is `nox -s foreign`'s.
# Users need none of this. Built once for each go.sum, outside the tree: ${XDG_CACHE_HOME:-~/.cache}/lnm-ci-tools/<hash>/.
set -eu
here=$(cd "$(dirname "$0")/${1:-.}" && pwd)
key=$(cat "$here/go.mod" "$here/go.sum" | sha256sum | cut -c1-16)
out=${XDG_CACHE_HOME:-$HOME/.cache}/lnm-ci-tools/$key
if [ ! -x "$out/cosign" ]; then
    command -v go >/dev/null || { echo "ci/tools: go is not on the PATH; cosign is not built" >&2; exit 4; }
    command=$(sed -n 's/^tool //p' "$here/go.mod")
    echo "ci/tools: building $command from go.sum $key (once, about 3 minutes on 2 cores)" >&2
    mkdir -p "$out"
    # -mod=readonly: a go.mod or go.sum that would have to change is an error
    (cd "$here" && GOFLAGS="-mod=readonly -trimpath -buildvcs=false" go build -o "$out/cosign.part" "$command") >&2
    mv "$out/cosign.part" "$out/cosign"
fi
echo "$out"
