# docker-test: profile=standard
# Proves: process ids, IPC objects and the host name are of namespaces other than the machine's
# first ones, whose numbers are fixed in the kernel.
. "${0%/*}/../lib.sh"

for initial in 'pid:[4026531836]' 'ipc:[4026531839]' 'uts:[4026531838]'; do
    kind=${initial%%:*}
    found=$(readlink "/proc/self/ns/$kind") || fail "/proc/self/ns/$kind cannot be read"
    [ "$found" != "$initial" ] || wrong "the $kind namespace is the machine's own, $found"
done
finish
