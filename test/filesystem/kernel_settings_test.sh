# docker-test: profile=standard
# Proves: the kernel's settings and the cgroup's own limits cannot be changed.
. "${0%/*}/../lib.sh"

for file in /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sys/vm/overcommit_memory \
    /proc/sys/net/ipv4/tcp_max_tw_buckets /proc/sys/user/max_user_namespaces /proc/sysrq-trigger \
    /sys/kernel/uevent_helper /sys/power/state /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max \
    /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/cgroup.kill /sys/fs/cgroup/*/cgroup.procs \
    /sys/fs/cgroup/*/release_agent /sys/fs/cgroup/memory/memory.limit_in_bytes; do
    if can_write "$file"; then
        wrong "$file can be written"
    fi
done
for folder in /sys/fs/cgroup /sys/fs/cgroup/*; do
    [ -d "$folder" ] || continue
    if can_write "$folder" || { in_worker && mkdir "$folder/probe" 2>/dev/null && rmdir "$folder/probe"; }; then
        wrong "a group can be made in $folder"
    fi
done
finish
