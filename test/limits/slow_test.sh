# docker-test: profile=slow
# Proves: the kernel enforces the limits of the profile "slow": processors, memory without swap,
# processes, open files, core files, nice value, size of the temporary folders.
. "${0%/*}/../lib.sh"

expect DOCKER_TEST_PROFILE slow "$DOCKER_TEST_PROFILE"
# shellcheck disable=SC2034 # used by check.sh
want_cpus=2 want_memory=1024 want_pids=256 want_files=1000 want_tmpfs=250 want_nice=5
. "${0%/*}/check.sh"
