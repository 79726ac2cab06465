# docker-test: profile=standard
# Proves: the filter of the isolation image refuses what only debuggers need. The full image opens
# these calls for one's own processes, so there this is not to be proved.
. "${0%/*}/../lib.sh"

in_full_image && skip 'the full image opens these calls by design'
probe debug-syscalls || wrong 'a system call was not refused, see above'
finish
