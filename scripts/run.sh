#!/bin/sh
# Runs a command of this project under its own Node, after making sure that everything it needs is there:
#   sh scripts/run.sh [--without-nats] <arguments of node…>
# Begins under any POSIX shell and ends as that Node (exec), so a signal to this process reaches the program itself.
# --without-nats: the command needs no message broker (type check, lint, compose), so none is looked for.
set -eu

project=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$project"

needs_nats=yes
if [ "${1-}" = --without-nats ]; then
  needs_nats=no
  shift
fi

. scripts/setup.sh

exec "$pinned_node" "$@"
