# Makes the checkout ready to run; sourced by run.sh, in the project's folder. When all is there already it costs
# a few milliseconds. Reads: needs_nats (yes, no). Sets: pinned_node; exports NATS_SERVER_BIN.

pinned_node=$PWD/node_modules/.bin/node
dependencies_marker=node_modules/.made-from
nats_folder=$PWD/.cache/nats-server
setup_lock=.cache/setup.lock

say() { printf 'set-up: %s\n' "$*" >&2; }

fail() {
  say "$1"
  shift
  for line in "$@"; do printf '        %s\n' "$line" >&2; done
  exit 1
}

# What node_modules has to be made from: this lock file, on this kind of machine; and that the workspaces' own parts
# of it are there as well.
wanted_dependencies() { printf '%s %s %s' "$(uname -sm)" "$(cksum <package-lock.json)" "$(echo */node_modules subgraphs/*/node_modules)"; }

dependencies_are_there() {
  [ -x "$pinned_node" ] && [ -f "$dependencies_marker" ] && [ "$(cat "$dependencies_marker")" = "$(wanted_dependencies)" ]
}

# Somebody ran npm by hand: npm's own record of node_modules tells whether every package is the lock's
# version.
dependencies_were_installed_by_hand() {
  [ -x "$pinned_node" ] && [ -f node_modules/.package-lock.json ] && "$pinned_node" -e '
    const packages = (file) => JSON.parse(require("node:fs").readFileSync(file, "utf8")).packages;
    const wanted = packages("package-lock.json");
    const installed = packages("node_modules/.package-lock.json");
    const differs = ([path, entry]) => path.includes("node_modules/") && (installed[path]
      ? installed[path].version !== entry.version || !require("node:fs").existsSync(path)
      : !entry.optional && !entry.peer);
    process.exit(Object.entries(wanted).some(differs) ? 1 : 0);' 2>/dev/null
}

# npm must not run under the Node that it is about to replace: PATH without the project's node_modules/.bin.
path_without_node_modules() {
  rest=$PATH:
  kept=
  while [ -n "$rest" ]; do
    folder=${rest%%:*}
    rest=${rest#*:}
    case $folder in
      */node_modules/.bin) ;;
      *) kept=$kept${kept:+:}$folder ;;
    esac
  done
  printf '%s' "$kept"
}

install_dependencies() {
  started_at=$(date +%s)
  say 'installing the dependencies (npm ci), this takes a minute on the first run …'
  rm -f "$dependencies_marker"
  outer_path=$PATH
  PATH=$(path_without_node_modules)
  command -v npm >/dev/null 2>&1 || fail 'npm is not in PATH.' 'Install Node 20 or later together with npm, then run this again.'
  # Warnings about engines are noise (npm may run under an old Node, the project does not); errors are shown.
  # In the background, so that a signal is heeded at once and not when npm has finished.
  npm ci --include=dev --include=optional --loglevel=error --no-audit --no-fund >&2 &
  npm_process=$!
  wait "$npm_process" ||
    fail 'npm ci failed, its error is above.' 'When it is about the network, check the connection and the registry (npm config get registry); then run this again.'
  npm_process=
  PATH=$outer_path
  [ -x "$pinned_node" ] || fail "the dependencies hold no Node for this machine ($(uname -sm))." \
    'Linux on x64 or arm64 and macOS on arm64 have one; elsewhere use docker-compose.yml.'
  "$pinned_node" --version >/dev/null || fail 'the Node among the dependencies does not run here; its error is above.' \
    'It needs glibc 2.28 or later; elsewhere use docker-compose.yml.'
  say "dependencies installed in $(($(date +%s) - started_at)) s"
}

provide_dependencies() {
  dependencies_are_there && return
  dependencies_were_installed_by_hand || install_dependencies
  wanted_dependencies >"$dependencies_marker.$$"
  mv "$dependencies_marker.$$" "$dependencies_marker"
}

# Sets NATS_SERVER_BIN when there is a server already.
find_nats_server() {
  for candidate in "$(command -v nats-server || :)" /usr/sbin/nats-server /usr/local/sbin/nats-server \
    /opt/homebrew/bin/nats-server "$nats_folder/usr/sbin/nats-server"; do
    if [ -n "$candidate" ] && [ -x "$candidate" ]; then
      NATS_SERVER_BIN=$candidate
      return 0
    fi
  done
  return 1
}

# Debian's package, unpacked into the project's cache: nothing is installed into the system, no service is started,
# no root needed. Package lists that are missing or old are fetched into the cache as well.
unpack_debian_nats_server() {
  own_lists="-o Dir::State=$nats_folder/apt -o Dir::State::status=/var/lib/dpkg/status -o Dir::Cache=$nats_folder/apt"
  as_caller="-o APT::Sandbox::User=$(id -un)"
  rm -rf "$nats_folder"
  mkdir -p "$nats_folder/apt/lists/partial" "$nats_folder/apt/archives/partial"
  (
    cd "$nats_folder"
    # shellcheck disable=SC2086 # the options are words of their own
    apt-get -q $as_caller download nats-server || {
      echo 'the package lists of the system do not do; fetching current ones into the cache'
      apt-get -q $as_caller $own_lists update && apt-get -q $as_caller $own_lists download nats-server
    } && dpkg-deb -x nats-server_*.deb unpacking && unpacking/usr/sbin/nats-server --version && mv unpacking/usr usr
  ) >"$nats_folder.log" 2>&1
}

get_nats_server() {
  if command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1; then
    say 'fetching nats-server from Debian into .cache/nats-server (nothing is installed into the system) …'
    if unpack_debian_nats_server; then
      rm -rf "$nats_folder/apt" "$nats_folder/unpacking" "$nats_folder"/*.deb
      say "nats-server is there: $("$nats_folder/usr/sbin/nats-server" --version)"
      find_nats_server && return
    fi
    say 'that failed:'
    tail -n 6 "$nats_folder.log" >&2
  fi
  fail 'nats-server (2.9 or later) was not found and could not be fetched.' 'Do one of these, then run this again:' \
    '  Debian, Ubuntu:  apt-get update && apt-get install nats-server' \
    '  macOS:           brew install nats-server' \
    '  elsewhere:       download it from https://github.com/nats-io/nats-server/releases and set NATS_SERVER_BIN=/path/to/nats-server'
}

provide_nats_server() {
  [ "$needs_nats" = yes ] || return 0
  if [ -n "${NATS_SERVER_BIN:-}" ]; then
    [ -x "$NATS_SERVER_BIN" ] || fail "NATS_SERVER_BIN names no program: $NATS_SERVER_BIN" 'Set it to the nats-server program, or unset it to have one found.'
  else
    find_nats_server || get_nats_server
  fi
  export NATS_SERVER_BIN
}

everything_is_there() {
  dependencies_are_there && { [ "$needs_nats" = no ] || [ -n "${NATS_SERVER_BIN:-}" ] || find_nats_server; }
}

# What npm has left unfinished the next set-up deletes.
stop_npm() {
  [ -n "${npm_process:-}" ] || return 0
  kill -KILL "$npm_process" 2>/dev/null || :
  wait "$npm_process" 2>/dev/null || :
}

lock_holder() { readlink "$setup_lock" 2>/dev/null || :; }

# One set-up at a time in a checkout (npm start and npm test at once). The lock is a link that names the process which
# holds it, so that it is taken and signed in one step; one left behind by a killed process is removed.
lock_setup() {
  mkdir -p .cache
  told=no
  until ln -s $$ "$setup_lock" 2>/dev/null; do
    holder=$(lock_holder)
    if [ -n "$holder" ] && ! kill -0 "$holder" 2>/dev/null && ! [ -d "/proc/$holder" ]; then
      [ "$(lock_holder)" != "$holder" ] || rm -f "$setup_lock"
      continue
    fi
    [ -w .cache ] || fail 'the folder .cache of this checkout is not writable.' 'Give it to yourself (chown), or work in a clone of your own.'
    [ $told = yes ] || say "another set-up is at work in this checkout (process $holder); waiting for it …"
    told=yes
    sleep 1
  done
  trap 'stop_npm; rm -f "$setup_lock"' EXIT
  # A terminal signals us directly and npm passes the same signal on: the second one must not cut the clearing up short.
  trap 'trap "" INT TERM HUP; exit 130' INT
  trap 'trap "" INT TERM HUP; exit 143' TERM
  trap 'trap "" INT TERM HUP; exit 129' HUP
}

unlock_setup() {
  rm -f "$setup_lock"
  trap - EXIT INT TERM HUP
}

if ! everything_is_there; then
  lock_setup
  provide_dependencies
  provide_nats_server
  unlock_setup
fi
provide_nats_server
