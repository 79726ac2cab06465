# docker-test: profile=standard
# Proves: the root filesystem is mounted read-only, and nothing in it can be written.
. "${0%/*}/../lib.sh"

mount_of /
has "$options" ro || wrong "/ is mounted '$options'"
for folder in / /bin /dev /etc /lib /opt /proc /root /run /sbin /srv /sys /usr /usr/bin \
    /usr/local/bin /var /var/tmp /proc/self/root /proc/self/root/usr; do
    # As a link to /tmp it is no folder of its own.
    if [ "$folder" = /var/tmp ] && [ -L "$folder" ]; then
        continue
    fi
    if [ -d "$folder" ] && can_write "$folder"; then
        wrong "$folder can be written"
    fi
done
finish
