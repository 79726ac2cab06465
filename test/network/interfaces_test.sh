# docker-test: profile=standard
# Proves: loopback is the only interface, and there is no route to anywhere else.
. "${0%/*}/../lib.sh"

while read -r name _; do
    case $name in
    Inter-* | face | lo:*) ;;
    # A kernel with these modules puts one of each, without address and down, into every network
    # namespace.
    tunl0:* | gre0:* | gretap0:* | erspan0:* | ip_vti0:* | ip6_vti0:* | sit0:* | ip6tnl0:* | \
        ip6gre0:*) ;;
    *) wrong "there is an interface ${name%%:*}" ;;
    esac
done </proc/net/dev
while read -r name _; do
    [ "$name" = Iface ] || wrong "there is a route by $name"
done </proc/net/route
finish
