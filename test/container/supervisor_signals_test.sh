# docker-test: profile=standard
# Proves: no signal from a test ends, stops or stirs the supervisor. That this test is reported at
# all is half of the proof.
. "${0%/*}/../lib.sh"
worker_only

# A signal with a handler reaches process 1, whoever sent it; the kernel drops all others.
field /proc/1/status SigCgt:
expect 'the signals that process 1 has handlers for' 0000000000000000 "$value"

number=1
while [ "$number" -le 64 ]; do
    # 32 and 33 belong to the C library; a refusal is as good as an ignored signal.
    kill -"$number" 1 2>/dev/null
    number=$((number + 1))
done

# The state is the first word after the name in brackets.
first_line /proc/1/stat
state=${value##*) }
case $state in
[RSD]\ *) ;;
*) wrong "the supervisor's state is '${state%% *}' after all signals" ;;
esac
first_line /proc/1/comm
expect 'process 1' docker-test "$value"
finish
