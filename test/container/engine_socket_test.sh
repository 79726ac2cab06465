# docker-test: profile=standard
# Proves: no container engine can be reached, which would be the way to the whole machine.
. "${0%/*}/../lib.sh"

for socket in /var/run/docker.sock /run/docker.sock /run/podman/podman.sock \
    /run/containerd/containerd.sock /run/crio/crio.sock /run/dbus/system_bus_socket \
    /run/systemd/private; do
    [ ! -e "$socket" ] || wrong "$socket exists"
done
# Every listening path socket of this network namespace, wherever it is. What a worker that dialled in
# is connected to listens elsewhere.
while read -r _ _ _ flags _ _ _ path; do
    case $flags:$path in
    00010000:/*) fail "there is a socket $path" ;;
    esac
done </proc/net/unix
finish
