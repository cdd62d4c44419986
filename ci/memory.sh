#!/bin/sh
# Prints a new folder in memory for what the tests write; says why, and prints nothing, where there is too little of it or no program may be
# run there: `sh ci/memory.sh [PLACE [KIB]]`. Builds sync every file and servers their journals, which on a disk is most of what either waits for.
set -eu
place=${1:-/dev/shm}
wanted=${2:-$((12 * 1024 * 1024))} # tests/crash alone were seen to take 3.2 GiB there, and the programs of four workers take as much beside it

# KiB that the file system has, that the machine has, and that a container may take
room=$(df -kP "$place" 2>/dev/null | awk 'NR == 2 { print $4 }')
free=$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo 2>/dev/null) || free=0
limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || echo max)
[ "$limit" = max ] || [ "$((limit / 1024))" -ge "${free:-0}" ] || free=$((limit / 1024))
if [ "${room:-0}" -lt "$wanted" ] || [ "${free:-0}" -lt "$wanted" ]; then
    echo "ci/memory.sh: $place: found ${room:-0} KiB of room and ${free:-0} KiB of memory, wanted $wanted of both; the tests write to the disk" >&2
    exit 0
fi

folder=$(mktemp -d "$place/lnm-tests.XXXXXX")
printf '#!/bin/sh\n' >"$folder/runs"
chmod 700 "$folder/runs"
if "$folder/runs" 2>/dev/null; then
    rm "$folder/runs"
    chmod 1777 "$folder" # as /tmp is: some tests are somebody else
    echo "$folder"
else
    rm -r "$folder"
    echo "ci/memory.sh: $place: no program may be run there; the tests write to the disk" >&2
fi
