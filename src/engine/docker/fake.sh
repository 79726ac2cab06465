#!/bin/sh
# Stands in for docker in tests: records its arguments, then does what the file `plan` beside the
# link that it is called by says.
here=$(dirname "$0")
for argument do printf '%s\0' "$argument"; done >>"$here/calls"
printf '\n\0' >>"$here/calls"
. "$here/plan"
