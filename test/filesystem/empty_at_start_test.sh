# docker-test: profile=standard
# Proves: /tmp, the home folder and /dev/shm are a test's own and empty when it starts.
. "${0%/*}/../lib.sh"

expect TMPDIR /tmp "$TMPDIR"
expect HOME /home/testuser "$HOME"
for place in "$TMPDIR" "$HOME" /dev/shm; do
    [ -d "$place" ] || wrong "$place is no folder"
    for entry in "$place"/* "$place"/.[!.]* "$place"/..?*; do
        if [ -e "$entry" ] || [ -L "$entry" ]; then
            wrong "$entry exists"
        fi
    done
done
finish
