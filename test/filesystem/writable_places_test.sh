# docker-test: profile=standard
# Proves: of all mounts, a test can write only to those that are its own.
. "${0%/*}/../lib.sh"

while read -r _ _ _ _ point _; do
    case $point in
    /tmp | /home | /home/testuser | /dev/shm | /dev/mqueue) ;;
    *)
        if [ -d "$point" ] && can_write "$point"; then
            wrong "$point can be written"
        fi
        ;;
    esac
done </proc/self/mountinfo
for place in "$TMPDIR" "$HOME" /dev/shm; do
    if { echo probe >"$place/docker-test-probe"; } 2>/dev/null; then
        rm "$place/docker-test-probe"
    else
        wrong "$place cannot be written"
    fi
done
finish
