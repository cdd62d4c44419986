#!/bin/sh
# Installs ci/apt.txt where that is possible (root on Debian) and needed; elsewhere says so and goes on.
set -eu
cd "$(dirname "$0")/.."
wanted=$(sed 's/#.*//' ci/apt.txt)
missing=
for package in $wanted; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "apt: not installed:$missing; tests that need them are skipped by name" >&2
    exit 0
fi
echo "apt: installing$missing" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
# shellcheck disable=SC2086 # a list of words
apt-get -qq install -y --no-install-recommends $missing >/dev/null
