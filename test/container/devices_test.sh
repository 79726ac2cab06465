# docker-test: profile=standard
# Proves: no device of the machine is there, only the usual ones that every program may use.
. "${0%/*}/../lib.sh"

for path in /dev/* /dev/.[!.]*; do
    case ${path#/dev/} in
    null | zero | full | random | urandom | tty | console | ptmx | pts | shm | mqueue) ;;
    fd | stdin | stdout | stderr | core) ;;
    *) [ ! -e "$path" ] || wrong "$path exists" ;;
    esac
done
for path in /dev/pts/*; do
    [ "$path" = /dev/pts/ptmx ] || [ ! -e "$path" ] || wrong "$path exists: a terminal"
done
finish
