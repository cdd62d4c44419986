#!/bin/sh
# Prints a new folder in memory for what tests write; nothing where there is no room for it, or where nothing in it may be run.
# Builds sync every file and servers their journals: on a disk that is up to nine tenths of a small build's time, in memory none.
set -eu
wanted=$((12 * 1024 * 1024)) # KiB: the tests leave less than 4 GiB, and the programs that they start take 4
place=${1:-/dev/shm}

# KiB that the file system has, that the machine has, and that a container may take
room=$(df -kP "$place" 2>/dev/null | awk 'NR == 2 { print $4 }')
free=$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo 2>/dev/null) || free=0
limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || echo max)
[ "$limit" = max ] || free=$(printf '%s %s\n' "$free" "$((limit / 1024))" | awk '{ print $1 < $2 ? $1 : $2 }')
[ "${room:-0}" -ge "$wanted" ] && [ "${free:-0}" -ge "$wanted" ] || { echo "ci/memory.sh: less than 12 GiB of memory are free" >&2; exit 0; }

folder=$(mktemp -d "$place/lnm-tests.XXXXXX")
printf '#!/bin/sh\n' >"$folder/runs"
chmod 700 "$folder/runs"
if "$folder/runs" 2>/dev/null; then
    rm "$folder/runs"
    chmod 1777 "$folder" # as /tmp is: some tests are somebody else
    echo "$folder"
else
    rm -r "$folder"
    echo "ci/memory.sh: $place is mounted noexec" >&2
fi
