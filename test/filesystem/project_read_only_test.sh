# docker-test: profile=standard
# Proves: the project is there, and neither it nor this very file can be changed.
. "${0%/*}/../lib.sh"

[ -r "$0" ] || wrong "$0 cannot be read"
for path in . "${0%/*}" "$0"; do
    if can_write "$path"; then
        wrong "$(pwd)/$path can be written"
    fi
done
finish
