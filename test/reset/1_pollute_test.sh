# docker-test: profile=slow
# Leaves behind whatever a test can leave behind, for 2_clean_test.sh, which is the next one in the
# same worker. It proves nothing itself, but that all of this is possible.
. "${0%/*}/../lib.sh"
worker_only

# Files: a plain one, one that its own owner cannot enter, and a tree that no path can name.
deep=d/d/d/d/d/d/d/d/d/d
deep=$deep/$deep/$deep/$deep/$deep/$deep/$deep/$deep/$deep/$deep
deep=$deep/$deep/$deep/$deep/$deep/$deep/$deep/$deep/$deep/$deep
for place in "$TMPDIR" "$HOME" /dev/shm; do
    echo left >"$place/left" || wrong "$place/left was not made"
    mkdir "$place/closed"
    echo left >"$place/closed/left"
    chmod 000 "$place/closed"
done
(
    cd "$TMPDIR" || exit 1
    for _ in 1 2 3; do
        mkdir -p "$deep" && cd -P "$deep" 2>/dev/null || exit 1
    done
) || wrong 'the deep tree was not made'

# Processes: so many that their numbers tell this worker from a fresh one, and a daemon.
number=0
while [ "$number" -lt 200 ]; do
    (:)
    number=$((number + 1))
done
# It is there by its name before this test ends.
# shellcheck disable=SC2016 # that shell's own
setsid sh -c 'sleep 600 <&- >&- 2>&- &
    until read -r name </proc/$!/comm && [ "$name" = sleep ]; do :; done' || wrong 'the daemon was not started'

# IPC objects.
probe sysv make || wrong 'the SysV objects were not made'
probe mqueue make left || wrong 'the message queue was not made'

# A closed connection, of which the kernel remembers the port for a minute.
probe time-wait 43210 || wrong 'the connection was not made'

# The supervisor's own attributes. A worker whose filter refuses this is as good as one that puts
# them back.
probe limit-supervisor || :
probe nice-supervisor || :
finish
