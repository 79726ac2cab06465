# docker-test: profile=slow
# Proves: of what 1_pollute_test.sh left behind in this very worker, nothing is there any more.
# Everything that is still there is listed.
. "${0%/*}/../lib.sh"

# Process numbers rise as long as a worker lives, and the polluter used 200 of them.
if [ "$$" -lt 200 ]; then
    skip "this is process $$ of a fresh worker: run both tests with one worker"
fi

for place in "$TMPDIR" "$HOME" /dev/shm; do
    for entry in "$place"/* "$place"/.[!.]* "$place"/..?*; do
        if [ -e "$entry" ] || [ -L "$entry" ]; then
            wrong "$entry is left"
        fi
    done
done

for folder in /proc/[0-9]*; do
    pid=${folder#/proc/}
    case $pid in
    1 | "$$") ;;
    *)
        first_line "$folder/comm"
        wrong "process $pid is left, '$value'"
        [ "$wrong_count" -lt 20 ] || fail 'and perhaps more'
        ;;
    esac
done

for what in sysv mqueue; do
    # shellcheck disable=SC2086 # on one line
    found=$(probe "$what" list) || wrong "$what objects are left:" $found
done
found=$(probe bind 43210) || wrong "a port is still taken: $found"

# The supervisor: soft and hard limit of open files are the same, and it is not nice.
while read -r line; do
    case $line in
    'Max open files '*)
        # shellcheck disable=SC2086 # soft limit, hard limit, unit
        set -- ${line#*files }
        expect "the supervisor's soft limit of open files" "$2" "$1"
        ;;
    esac
done </proc/1/limits
first_line /proc/1/stat
# shellcheck disable=SC2086 # words
set -- ${value##*) }
shift 16
expect "the supervisor's nice value" 0 "$1"
finish
