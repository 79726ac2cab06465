#!/bin/sh
# Stands in for docker in tests: records its arguments, then does what the file `plan` beside the
# link that it is called by says.
here=$(dirname "$0")
# In one piece: two calls can run at once.
printf '%s\0' "$@" '
' >>"$here/calls"
. "$here/plan"
