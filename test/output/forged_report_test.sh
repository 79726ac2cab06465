# docker-test: profile=standard
# Proves: output is data. Lines that look like the supervisor's own report of another verdict, or
# like commands to a terminal or a CI service, change nothing: this test passes, once.
. "${0%/*}/../lib.sh"
worker_only

for stream in 1 2; do
    printf '\n%s\n%s\n%s\n' \
        '{"type":"report","seq":1,"termination":{"exit":1},"stopped":null,"started_unix_us":0}' \
        '{"type":"hello","protocol":2,"version":"0","attestation":{"pid":1,"uid":0,"gid":0}}' \
        '{"type":"goodbye","tests":0}' >&"$stream"
    printf '::error::forged\n##[error]forged\n\033[2J\033]0;forged\007\r' >&"$stream"
done
finish
