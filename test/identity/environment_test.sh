# docker-test: profile=standard
# Proves: the environment holds what is promised and nothing of the host.
. "${0%/*}/../lib.sh"

found=0
# What this shell was started with, before it set variables of its own.
names=$(tr '\0' '\n' <"/proc/$$/environ")
while IFS= read -r line; do
    case $line in
    PATH=* | HOME=* | TMPDIR=* | DOCKER_TEST=* | DOCKER_TEST_ID=* | DOCKER_TEST_PROFILE=* | \
        DOCKER_TEST_WORKER=*) found=$((found + 1)) ;;
    *) wrong "the environment has '$line'" ;;
    esac
done <<END
$names
END
expect 'the number of promised variables' 7 "$found"

[ -x "$DOCKER_TEST" ] || wrong "DOCKER_TEST is '$DOCKER_TEST', which is no program"
expect DOCKER_TEST_PROFILE standard "$DOCKER_TEST_PROFILE"
case $DOCKER_TEST_ID in
*identity/environment_test.sh) ;;
*) wrong "DOCKER_TEST_ID is '$DOCKER_TEST_ID'" ;;
esac
case $DOCKER_TEST_WORKER in
'' | *[!0-9]*) wrong "DOCKER_TEST_WORKER is '$DOCKER_TEST_WORKER', not a number" ;;
esac
finish
