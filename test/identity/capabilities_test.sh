# docker-test: profile=standard
# Proves: no capability in any of the five sets, so none can be gained either.
. "${0%/*}/../lib.sh"

for set in CapInh CapPrm CapEff CapBnd CapAmb; do
    field /proc/self/status "$set:"
    expect "$set" 0000000000000000 "$value"
done
finish
