# docker-test: profile=standard
# Proves: neither a cloud's metadata service, nor the internet, nor a neighbour can be reached, by
# TCP or UDP, IPv4 or IPv6. Nothing is tried where there is a route: no packet ever leaves a machine.
. "${0%/*}/../lib.sh"

while read -r name _; do
    [ "$name" = Iface ] || fail "there is a route by $name: not tried"
done </proc/net/route

for address in 169.254.169.254 1.1.1.1 172.17.0.1 2001:db8::1; do
    found=$(probe connect "$address" 80) || wrong "$address can be reached"
    for answer in $found; do
        case $answer in
        tcp | udp | ENETUNREACH) ;;
        EADDRNOTAVAIL | EAFNOSUPPORT) [ "$address" = 2001:db8::1 ] || wrong "$address: $found" ;;
        *) wrong "$address: $answer, not ENETUNREACH" ;;
        esac
    done
done
finish
