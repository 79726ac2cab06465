# docker-test: profile=standard
# Proves: the host's name is not to be seen.
. "${0%/*}/../lib.sh"

first_line /proc/sys/kernel/hostname
expect 'the host name' docker-test "$value"
finish
