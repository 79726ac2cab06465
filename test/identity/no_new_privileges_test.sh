# docker-test: profile=standard
# Proves: no program that a test executes can gain a privilege.
. "${0%/*}/../lib.sh"

field /proc/self/status NoNewPrivs:
expect NoNewPrivs 1 "$value"
finish
