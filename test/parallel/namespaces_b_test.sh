# docker-test: profile=standard
# Prints the namespaces that it runs in. Of two such tests that run at the same time, the launcher
# proves that they share none of them.
. "${0%/*}/../lib.sh"

for kind in pid net ipc mnt; do
    found=$(readlink "/proc/self/ns/$kind") || fail "/proc/self/ns/$kind cannot be read"
    echo "ns $kind $found"
done
finish
