# Plays docker without any container: `run` is this program's own worker as a plain child, with the
# project's folder in place of /work, and what it is told in a file; everything else is answered from a script. FAKE_AT and
# FAKE_MODE make one call go wrong, FAKE_OUT edits what a worker says (a sed script), and FAKE_OUT_LATER what
# all but the first say.
here=$(dirname "$0")
state=$here/state
mkdir -p "$state"

# A call may outlive its test, and then the whole folder is gone.
until mkdir "$here/lock" 2>/dev/null; do [ -d "$here" ] || exit 1; done
printf '%s\n' "$*" >>"$here/calls"
number=$(wc -l <"$here/calls")
rmdir "$here/lock"

if [ "$number" = "$FAKE_AT" ] || [ "$1" = "$FAKE_AT" ] || [ "$1 $2" = "$FAKE_AT" ] || [ "$FAKE_AT" = all ]; then
    case $FAKE_MODE in
    refuse) echo 'docker: Error response from daemon: no, not now.' >&2; exit 1 ;;
    down) echo 'Cannot connect to the Docker daemon at unix:///run/fake.sock. Is the docker daemon running?' >&2; exit 1 ;;
    missing) echo "Unable to find image 'debian:12' locally" >&2; exit 125 ;;
    garbage) printf 'WARNING: \033[31mnonsense\n{"half":'; exit 0 ;;
    half) printf '{"half":'; exit 0 ;;
    nothing) exit 0 ;;
    killed) kill -9 $$ ;;
    esac
fi

of() { # of OPTION WORD...: the option's value
    option=$1
    shift
    for word; do
        case $word in
        "$option"*) printf '%s' "${word#"$option"}" ;;
        esac
    done
}

case $1 in
run)
    name=$(of --name= "$@")
    out=$FAKE_OUT
    case $name in
    *-1) ;;
    *) out=${FAKE_OUT_LATER-$FAKE_OUT} ;;
    esac
    for word; do
        case $word in
        --mount=*,target=/work,*)
            project=${word#*source=}
            project=${project%%,target=*}
            ;;
        esac
    done
    # Like docker, it ends with its container, whether or not its stdin has ended.
    mkfifo "$state/$name.in"
    exec 3<&0
    sed -u -e "s#\"directory\":\"/work\"#\"directory\":\"$project\"#" -e "w $state/$name.told" <&3 >"$state/$name.in" &
    feeder=$!
    {
        echo 0 >"$state/$name.exit"
        sh -c 'echo $$ >"$1"; exec "$2" worker' sh "$state/$name.pid" "$FAKE_PROGRAM" \
            <"$state/$name.in" 3<&- || echo $? >"$state/$name.exit"
    } | sed -u "$out" 3<&-
    kill "$feeder" 2>/dev/null
    exit "$(cat "$state/$name.exit")"
    ;;
rm)
    if [ -e "$state/$4.pid" ]; then
        kill -9 "$(cat "$state/$4.pid")" 2>/dev/null
        echo "$4"
    else
        echo "Error: No such container: $4" >&2
        exit 1
    fi
    ;;
events)
    name=$(of container= "$@")
    event() {
        printf '{"Type":"container","Action":"%s","Actor":{"Attributes":{"name":"%s"%s}}}\n' "$1" "$name" "$2"
    }
    [ -e "$state/$name.pid" ] || exit 0
    event create
    event start
    [ ! -e "$here/somebody" ] || event kill ',"signal":"9"'
    event die ",\"exitCode\":\"$(cat "$state/$name.exit")\""
    ;;
image)
    case $2 in
    inspect) cat "$here/image" 2>/dev/null || echo '["sha256:df60ebb59db0c0b2fa48ef53303716e36edb0de369dd550d3365971890975d6e",7654321,null]' ;;
    ls) cat "$here/images" 2>/dev/null ;;
    esac
    ;;
context) echo '"unix:///run/fake.sock"' ;;
version) echo 26.1.5 ;;
--version) echo 'Docker version 26.1.5, build a72d7cd' ;;
info) cat "$here/info" ;;
ps) cat "$here/ps" 2>/dev/null ;;
network) [ "$2" != ls ] || cat "$here/networks" 2>/dev/null ;;
*) exit 1 ;;
esac
exit 0
