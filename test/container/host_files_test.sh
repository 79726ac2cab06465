# docker-test: profile=standard
# Proves: no private file of the host (or of the image) can be read.
. "${0%/*}/../lib.sh"

for file in /etc/shadow /etc/gshadow /etc/sudoers /etc/machine-id /etc/ssh/ssh_host_ed25519_key \
    /proc/kcore /proc/kmsg /dev/mem /dev/kmsg; do
    if [ -r "$file" ] && [ -s "$file" ]; then
        wrong "$file can be read"
    fi
done
for folder in /root /var/lib/docker /var/lib/containerd; do
    for entry in "$folder"/* "$folder"/.[!.]*; do
        if [ -e "$entry" ]; then
            wrong "$entry can be seen"
            break
        fi
    done
done
for folder in /home/*; do
    [ "$folder" = /home/testuser ] || [ ! -e "$folder" ] || wrong "$folder exists: another user's"
done
finish
