# docker-test: profile=standard
# Proves: a program file with the setuid or setgid bit gives nothing. Our images have no such file;
# where the host's programs are mounted, their bits are without effect.
. "${0%/*}/../lib.sh"

field /proc/self/status NoNewPrivs:
no_new_privileges=$value
for folder in /bin /sbin /usr/bin /usr/sbin /usr/local/bin /usr/libexec /usr/lib/openssh; do
    for file in "$folder"/*; do
        if [ -u "$file" ] || [ -g "$file" ]; then
            [ -f "$file" ] || continue
            [ "$no_new_privileges" = 1 ] || wrong "$file gives the rights of its owner or group"
            case $file in
            /usr/bin/su | /usr/bin/mount)
                # The C library obeys this variable only where the bit has no effect.
                case $(LD_SHOW_AUXV=1 "$file" --version 2>&1 </dev/null) in
                *AT_EUID:*1001*) ;;
                *AT_*) wrong "$file does not run as user 1001" ;;
                esac
                ;;
            esac
        fi
    done
done

# One of one's own, which nobody but root could make dangerous.
: >"$TMPDIR/own"
chmod 6755 "$TMPDIR/own"
mount_of /tmp
has "$options" nosuid || wrong "/tmp is mounted '$options', without nosuid"
rm "$TMPDIR/own"
finish
