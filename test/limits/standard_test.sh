# docker-test: profile=standard
# Proves: the kernel enforces the limits of the profile "standard": processors, memory without swap,
# processes, open files, core files, nice value, size of the temporary folders.
. "${0%/*}/../lib.sh"

expect DOCKER_TEST_PROFILE standard "$DOCKER_TEST_PROFILE"
# shellcheck disable=SC2034 # used by check.sh
want_cpus=2 want_memory=512 want_pids=128 want_files=500 want_tmpfs=100 want_nice=0
. "${0%/*}/check.sh"
