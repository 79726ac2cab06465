# docker-test: profile=standard
# Proves: this is a Linux container of our own. Process 1 is the supervisor, this shell is its
# child, and there is no other process to be seen.
. "${0%/*}/../lib.sh"

first_line /proc/sys/kernel/ostype
expect 'the kernel' Linux "$value"
first_line /proc/1/comm
expect 'process 1' docker-test "$value"
expect 'the parent of this test' 1 "$PPID"

for folder in /proc/[0-9]*; do
    pid=${folder#/proc/}
    case $pid in
    1 | "$$") ;;
    *)
        first_line "$folder/comm"
        wrong "there is a process $pid, '$value'"
        [ "$wrong_count" -lt 10 ] || fail 'and perhaps more'
        ;;
    esac
done
finish
