# The limits of a profile, as the kernel has them. Sourced by one test for each profile, with:
# want_cpus, want_memory (MiB), want_pids, want_files, want_tmpfs (MiB), want_nice.
# shellcheck shell=sh disable=SC2154 # set by those tests and by lib.sh

groups=/sys/fs/cgroup
quota='' period='' per_process=''
bytes=$((want_memory * 1048576))

# More processors than the machine has cannot be given.
machine=0
while read -r word _; do
    case $word in
    cpu[0-9]*) machine=$((machine + 1)) ;;
    intr) break ;;
    esac
done </proc/stat
[ "$machine" -ge "$want_cpus" ] || want_cpus=$machine

if [ -e "$groups/memory.max" ]; then
    first_line "$groups/memory.max"
    expect 'memory.max' "$bytes" "$value"
    # Absent where the kernel does not count swap, which it then cannot limit.
    if [ -e "$groups/memory.swap.max" ]; then
        first_line "$groups/memory.swap.max"
        expect 'memory.swap.max' 0 "$value"
    fi
    first_line "$groups/cpu.max"
    quota=${value% *}
    period=${value#* }
    first_line "$groups/pids.max"
    expect 'pids.max' "$want_pids" "$value"
elif [ -e "$groups/memory/memory.limit_in_bytes" ]; then
    first_line "$groups/memory/memory.limit_in_bytes"
    expect 'memory.limit_in_bytes' "$bytes" "$value"
    if [ -e "$groups/memory/memory.memsw.limit_in_bytes" ]; then
        first_line "$groups/memory/memory.memsw.limit_in_bytes"
        expect 'memory.memsw.limit_in_bytes' "$bytes" "$value"
    fi
    first_line "$groups/cpu/cpu.cfs_quota_us"
    quota=$value
    first_line "$groups/cpu/cpu.cfs_period_us"
    period=$value
    first_line "$groups/pids/pids.max"
    expect 'pids.max' "$want_pids" "$value"
else
    # The sandbox without a cgroup, as an ordinary user has it: there each process has the limits
    # of the whole, and nothing limits the processors. The run says that these are unenforced.
    per_process=yes
fi
case $quota$period in
'' | *[!0-9]*) [ -n "$per_process" ] || wrong "the processors are not limited: '$quota' of '$period' microseconds" ;;
*)
    quota=$((quota * 100 / period))
    # A replica of the compose file has one processor, of whatever profile its tests are.
    [ ! -d /run/docker-test ] || [ "$quota" -gt $((want_cpus * 100)) ] || want_cpus=$((quota / 100))
    expect 'the CPU quota in percent' $((want_cpus * 100)) "$quota"
    ;;
esac

while read -r line; do
    case $line in
    'Max open files '* | 'Max core file size '* | 'Max data size '* | 'Max processes '*)
        rest=${line#*files }
        rest=${rest#*size }
        rest=${rest#*processes }
        # shellcheck disable=SC2086 # soft limit, hard limit, unit
        set -- $rest
        case $line in
        *core*) expect 'the soft and hard limit of core files' '0 0' "$1 $2" ;;
        *data*) [ -z "$per_process" ] || expect 'the limit of data of a process' "$bytes $bytes" "$1 $2" ;;
        *processes*) [ -z "$per_process" ] || expect 'the limit of processes' "$want_pids $want_pids" "$1 $2" ;;
        *) expect 'the soft and hard limit of open files' "$want_files $want_files" "$1 $2" ;;
        esac
        ;;
    esac
done </proc/self/limits

# The nice value is the 17th word after the name in brackets.
first_line /proc/self/stat
# shellcheck disable=SC2086 # words
set -- ${value##*) }
shift 16
expect 'the nice value' "$want_nice" "$1"

for place in /tmp /home; do
    mount_of "$place"
    case ",$super_options," in
    *",size=$((want_tmpfs * 1024))k,"*) ;;
    *) wrong "the size of $place is not $want_tmpfs MiB: '$super_options'" ;;
    esac
done
finish
