# docker-test: profile=standard
# Proves: a test cannot change the supervisor's limits, nice value or processors, although both
# have the same user: the next test would have to live with them.
. "${0%/*}/../lib.sh"
worker_only

for what in limit nice affinity; do
    probe "$what-supervisor" || wrong "a test can change the supervisor: $what"
done
finish
