# What the tests share. Sourced as `. "${0%/*}/../lib.sh"`; needs nothing but a POSIX shell.
#
# A test collects what it finds wrong with `expect` and `wrong`, so that one run shows all of it,
# and ends with `finish`. Loops over files of /proc read them in the shell itself: no test starts
# more processes than it must.
# shellcheck shell=sh disable=SC2034 # the variables are read by the tests

wrong_count=0

# wrong WORDS...: says what was found, and goes on.
wrong() {
    printf 'wrong: %s\n' "$*" >&2
    wrong_count=$((wrong_count + 1))
}

# fail WORDS...: says what was found, and ends the test.
fail() {
    wrong "$@"
    exit 1
}

# skip WORDS...: says why there is nothing to prove here, and ends the test.
skip() {
    printf 'skipped: %s\n' "$*"
    exit 77
}

# in_full_image: whether this is the image with the debuggers, which opens more by design.
in_full_image() {
    image=
    [ ! -r /etc/docker-test-image ] || read -r image </etc/docker-test-image
    [ "$image" = full ]
}

# expect NAME WANTED FOUND
expect() {
    [ "$2" = "$3" ] || wrong "$1 is '$3', not '$2'"
}

# finish: the verdict.
finish() {
    [ "$wrong_count" -eq 0 ] || exit 1
    exit 0
}

# field FILE KEY: sets $value to what follows the first word KEY in a file of `KEY VALUE...` lines,
# and to nothing where there is no such line.
field() {
    value=
    while read -r field_key field_value; do
        if [ "$field_key" = "$2" ]; then
            value=$field_value
            return
        fi
    done <"$1"
}

# first_line FILE: sets $value to it, and to nothing where the file cannot be read.
first_line() {
    value=
    { read -r value <"$1"; } 2>/dev/null || :
}

# mount_of PATH: sets $options and $super_options to those of what is mounted on PATH, and to
# nothing where nothing is. The last mount on a path is the one that is seen.
mount_of() {
    options=
    super_options=
    while read -r _ _ _ _ mount_point mount_options mount_rest; do
        if [ "$mount_point" = "$1" ]; then
            options=$mount_options
            super_options=${mount_rest##* }
        fi
    done </proc/self/mountinfo
}

# has LIST WORD: whether a comma-separated list has the word.
has() {
    case ",$1," in
    *",$2,"*) return 0 ;;
    *) return 1 ;;
    esac
}

# in_worker: whether process 1 is our supervisor. Without a container it is the machine's own init,
# and then nothing may be tried that could change the machine, perhaps as root.
in_worker() {
    first_line /proc/1/comm
    [ "$value" = docker-test ]
}

# worker_only: ends the test outside a worker. For tests that would signal process 1, or leave
# something behind.
worker_only() {
    in_worker || fail "process 1 is '$value', not docker-test: not tried"
}

# can_write PATH: whether a file can be made in this folder, or whether this file can be opened for
# writing. Really tried in a worker; elsewhere the permissions must do.
can_write() {
    if ! in_worker; then
        [ -w "$1" ]
    elif [ -d "$1" ]; then
        { true >"$1/docker-test-probe"; } 2>/dev/null && rm -f "$1/docker-test-probe"
    else
        [ -e "$1" ] && { true >>"$1"; } 2>/dev/null
    fi
}

# probe WORDS...: what a shell cannot do. 0 where the worker is as it should be, 1 where it is not;
# a probe that could not be run ends the test (or the command substitution, with 1).
probe() {
    "$DOCKER_TEST" probe "$@"
    probe_status=$?
    [ "$probe_status" -le 1 ] || fail "probe $1 could not be run: $probe_status"
    return "$probe_status"
}
