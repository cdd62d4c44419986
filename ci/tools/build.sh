#!/bin/sh
# Builds the foreign eyes of CI (real cosign) from the hash-locked Go module beside this script, and prints the folder they are in.
# Users need none of this. Built once for each go.sum, outside the tree: ${XDG_CACHE_HOME:-~/.cache}/lnm-ci-tools/<hash>/.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
key=$(cat "$here/go.mod" "$here/go.sum" | sha256sum | cut -c1-16)
out=${XDG_CACHE_HOME:-$HOME/.cache}/lnm-ci-tools/$key
if [ ! -x "$out/cosign" ]; then
    command -v go >/dev/null || { echo "ci/tools: go is not on the PATH; cosign is not built" >&2; exit 4; }
    echo "ci/tools: building cosign from go.sum $key (once, about 3 minutes on 2 cores)" >&2
    mkdir -p "$out"
    # -mod=readonly: a go.mod or go.sum that would have to change is an error
    (cd "$here" && GOFLAGS="-mod=readonly -trimpath -buildvcs=false" go build -o "$out/cosign.part" github.com/sigstore/cosign/v3/cmd/cosign) >&2
    mv "$out/cosign.part" "$out/cosign"
fi
echo "$out"
