# docker-test: profile=fast
# Proves: the kernel enforces the limits of the profile "fast": processors, memory without swap,
# processes, open files, core files, nice value, size of the temporary folders.
. "${0%/*}/../lib.sh"

expect DOCKER_TEST_PROFILE fast "$DOCKER_TEST_PROFILE"
# shellcheck disable=SC2034 # used by check.sh
want_cpus=1 want_memory=128 want_pids=64 want_files=100 want_tmpfs=32 want_nice=0
. "${0%/*}/check.sh"
