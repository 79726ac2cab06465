#!/bin/sh
# Stands in for docker in tests: notes its arguments, then does what the file `plan` beside the link
# that it is called by says.
here=$(dirname "$0")
echo "$*" >>"$here/calls"
# shellcheck source=/dev/null
. "$here/plan"
