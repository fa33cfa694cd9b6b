#!/bin/sh
# Arguments that are options, or none, are Envoy's own.
set -e
case "${1:-}" in
"" | -*) set -- envoy "$@" ;;
esac
exec "$@"
