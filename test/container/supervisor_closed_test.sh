# docker-test: profile=standard
# Proves: the supervisor's memory, descriptors, environment and files are closed to a test, so that
# nobody but the supervisor can write a result; nor can it be traced.
. "${0%/*}/../lib.sh"

for file in mem environ maps auxv; do
    if { true <"/proc/1/$file"; } 2>/dev/null; then
        wrong "/proc/1/$file can be opened"
    fi
done
for folder in fd fdinfo map_files ns; do
    for entry in "/proc/1/$folder"/*; do
        if [ -e "$entry" ]; then
            wrong "$entry can be seen"
            break
        fi
    done
done
for link in root cwd exe fd/0 fd/1; do
    if readlink "/proc/1/$link" >/dev/null 2>&1; then
        wrong "/proc/1/$link can be read"
    fi
done
worker_only
if { echo forged >/proc/1/fd/1; } 2>/dev/null; then
    wrong 'the standard output of the supervisor can be written'
fi
probe ptrace-supervisor || wrong 'the supervisor can be traced'
finish
