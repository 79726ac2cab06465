# docker-test: profile=standard
# Proves: a test inherits no descriptor of the supervisor: its own three and nothing else, the
# standard input empty and the two outputs pipes of their own.
. "${0%/*}/../lib.sh"

expect 'the standard input' /dev/null "$(readlink "/proc/$$/fd/0")"
if read -r line; then
    wrong "the standard input has a line: '$line'"
fi
stdout=$(readlink "/proc/$$/fd/1")
stderr=$(readlink "/proc/$$/fd/2")
for target in "$stdout" "$stderr"; do
    case $target in
    pipe:*) ;;
    *) wrong "an output is '$target', not a pipe" ;;
    esac
done

# Listed into a file, because a pipe to this shell would be one more descriptor.
ls -l "/proc/$$/fd" >"$TMPDIR/list"
while read -r line; do
    target=${line##* -> }
    number=${line% -> *}
    number=${number##* }
    case $target in
    total\ *) ;;
    # The shell reads this file, and may keep its own output aside meanwhile.
    */"${0##*/}" | "$stdout" | "$stderr") ;;
    *) [ "$number" -le 1 ] || wrong "descriptor $number is open: '$target'" ;;
    esac
done <"$TMPDIR/list"
rm "$TMPDIR/list"
finish
