# docker-test: profile=standard
# Proves: the filter refuses every system call that no test needs, before the kernel looks at it:
# namespaces, mounts, keys, bpf, io_uring, modules, clocks, devices, other socket families.
. "${0%/*}/../lib.sh"

probe syscalls || wrong 'a system call was not refused, see above'

# What is allowed beside a refused one: a FIFO is made by the same call as a device.
mkfifo "$TMPDIR/fifo" || wrong 'a FIFO cannot be made'
rm -f "$TMPDIR/fifo"
finish
