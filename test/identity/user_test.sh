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
# Engines name the own group again among the others; that gives nothing.
for group in $value; do
    expect 'a supplementary group' 1001 "$group"
done
finish
