# packages.sh - finds and installs what the project needs. Sourced, not run.
#
# require_packages PACKAGE=PROBE... installs the missing ones on Debian (as root or with sudo) and
# elsewhere names them and exits; want_packages goes on without those it cannot have. A probe is
# cmd:NAME (a command), pc:NAME (a pkg-config module), h:NAME (a header the C compiler finds) or
# f:PATH (a file).

probe_package() {
  case $1 in
  cmd:*) command -v "${1#cmd:}" >/dev/null 2>&1 ;;
  pc:*) pkg-config --exists "${1#pc:}" >/dev/null 2>&1 ;;
  f:*) test -e "${1#f:}" ;;
  h:*) printf '#include <%s>\n' "${1#h:}" | cc -E - >/dev/null 2>&1 ;;
  *) false ;;
  esac
}

# Prints the packages whose probe fails.
missing_packages() {
  for need in "$@"; do
    probe_package "${need#*=}" || printf '%s ' "${need%%=*}"
  done
}

is_debian() {
  [ -r /etc/os-release ] && (
    . /etc/os-release
    case " ${ID:-} ${ID_LIKE:-} " in *" debian "*) true ;; *) false ;; esac
  ) && command -v apt-get >/dev/null 2>&1
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  else
    sudo -n "$@"
  fi
}

require_packages() {
  missing=$(missing_packages "$@")
  [ -n "$missing" ] || return 0
  if ! is_debian || { [ "$(id -u)" -ne 0 ] && ! sudo -n true 2>/dev/null; }; then
    echo "These packages (Debian's names) are needed and missing: $missing" >&2
    echo "On Debian 12, as root: apt-get install $missing" >&2
    exit 1
  fi
  echo "installing: $missing"
  # sudo drops the environment, so the setting goes through env.
  as_root apt-get update -qq || exit 1
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    $missing >/dev/null || exit 1
  missing=$(missing_packages "$@")
  if [ -n "$missing" ]; then
    echo "Installed, but still not usable: $missing" >&2
    exit 1
  fi
}

# The same for what the project can do without: installed on Debian where that is allowed.
want_packages() {
  if is_debian && { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; }; then
    (require_packages "$@") || echo "going on without: $(missing_packages "$@")" >&2
  fi
}

# Configures a build directory, or does so again when it came from another place or meson.
configure_build() { # directory, then arguments of meson setup
  directory=$1
  shift
  if [ -f "$directory/build.ninja" ] &&
    meson setup --reconfigure "$directory" "$project_root" "$@" >"$directory/setup.log" 2>&1; then
    return 0
  fi
  rm -rf "$directory"
  mkdir -p "$directory"
  if ! meson setup "$directory" "$project_root" "$@" >"$directory/setup.log" 2>&1; then
    cat "$directory/setup.log" >&2
    return 1
  fi
}
