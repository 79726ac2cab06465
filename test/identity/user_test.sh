# docker-test: profile=standard
# Proves: a test runs as user and group 1001 in all four of their forms, and in no other group.
. "${0%/*}/../lib.sh"

for kind in Uid Gid; do
    field /proc/self/status "$kind:"
    # shellcheck disable=SC2086 # four numbers
    set -- $value
    expect "$kind" '1001 1001 1001 1001' "$*"
done
field /proc/self/status Groups:
groups=$value
# The sandbox of an ordinary user is a user namespace of one user, where the kernel lets nobody give
# up the groups of that user outside. They have no number inside and are shown as 65534.
first_line /proc/self/uid_map
# shellcheck disable=SC2086 # words
set -- $value
unmapped=none
[ "$*" = '0 0 4294967295' ] || [ "$3" != 1 ] || unmapped=65534
# Engines name the own group again among the others; that gives nothing.
for group in $groups; do
    [ "$group" = "$unmapped" ] || expect 'a supplementary group' 1001 "$group"
done
finish
