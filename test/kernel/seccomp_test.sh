# docker-test: profile=standard
# Proves: a seccomp filter is on.
. "${0%/*}/../lib.sh"

field /proc/self/status Seccomp:
expect 'the seccomp mode (2 is a filter)' 2 "$value"
finish
