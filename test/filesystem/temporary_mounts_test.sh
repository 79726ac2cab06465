# docker-test: profile=standard
# Proves: every place that a test can write is in memory and sized, gives no privilege, and does not
# execute programs.
. "${0%/*}/../lib.sh"

for place in /tmp /home /dev/shm; do
    mount_of "$place"
    [ -n "$options" ] || wrong "$place is no mount of its own"
    for option in nosuid nodev noexec; do
        # What a test of the full image compiles in its folders it may execute.
        [ "$option $place" != 'noexec /tmp' ] && [ "$option $place" != 'noexec /home' ] ||
            ! in_full_image || continue
        has "$options" "$option" || wrong "$place is mounted '$options', without $option"
    done
    case ",$super_options" in
    *,size=*) ;;
    *) wrong "$place has no size: '$super_options'" ;;
    esac
done

printf '#!/bin/sh\nexit 0\n' >"$TMPDIR/program"
chmod 700 "$TMPDIR/program"
if "$TMPDIR/program" 2>/dev/null && ! in_full_image; then
    wrong "a program in $TMPDIR can be executed"
fi
rm "$TMPDIR/program"
finish
