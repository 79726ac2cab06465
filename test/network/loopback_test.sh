# docker-test: profile=standard
# Proves: a server and its client in the same test find each other on 127.0.0.1.
. "${0%/*}/../lib.sh"

probe loopback || wrong 'nothing comes through 127.0.0.1'
mount_of /proc
[ -n "$options" ] || wrong 'there is no /proc of its own'
finish
