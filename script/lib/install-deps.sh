#!/usr/bin/env bash
# The packages this project needs, and how they get onto the machine.
#
#   source script/lib/install-deps.sh; need_packages build engine
#   script/lib/install-deps.sh build tests        the same as a command
#
# Root installs what is missing. Anybody else gets the one line that would, and exit code 3.

# The only list of packages in the repository: Debian 12+ and Ubuntu 24.04+ names.
packages_of_group() {
  case $1 in
    build) echo cmake ninja-build g++ pkg-config libhwloc-dev ;;
    engine) echo libopenblas-openmp-dev libcli11-dev nlohmann-json3-dev libfmt-dev ;;
    tests) echo libgtest-dev clang libclang-rt-dev clang-format clang-tidy libomp-dev ;;
    python) echo python3 python3-venv ;;
    rust) echo g++ pkg-config clang ;;  # and cargo; clang brings the libclang that bindgen loads
    go) echo gcc libc6-dev pkg-config ;;
    swig) echo cmake ninja-build g++ swig ;;
    java) echo default-jdk-headless maven ;;
    lua) echo lua5.4 liblua5.4-dev pkg-config ;;
    csharp) echo mono-mcs mono-runtime ;;
    emulator)
      echo gcc libc6-dev binutils cpio isolinux syslinux-common xorriso debian-archive-keyring
      # Debian's mirror is not among Ubuntu's own sources: python-apt-common knows one, by https.
      if is_ubuntu; then echo python-apt-common ca-certificates; fi
      ;;
    *)
      echo "need_packages: no group '$1' (see packages_of_group)" >&2
      return 2
      ;;
  esac
}

is_ubuntu() (
  . /etc/os-release 2>/dev/null
  [[ " ${ID:-} ${ID_LIKE:-} " == *" ubuntu "* ]]
)

# Names on stdin that no installed package carries or provides.
missing_packages() {
  awk -v installed="$(dpkg-query -W -f '${db:Status-Status} ${Package}, ${Provides}\n')" '
    BEGIN {
      lines = split(installed, line, "\n")
      for (i = 1; i <= lines; i++) {
        if (line[i] !~ /^installed /) continue
        sub(/^installed /, "", line[i])
        gsub(/\([^)]*\)/, "", line[i])
        names = split(line[i], name, /[ ,]+/)
        for (j = 1; j <= names; j++) here[name[j]] = 1
      }
    }
    !($1 in here) && !seen[$1]++'
}

# Runs a command with its output in a log; shows the log when the command fails.
logged() {
  local log
  log=$(mktemp "${TMPDIR:-/tmp}/libdsa-install.XXXXXX")
  if "$@" </dev/null >"$log" 2>&1; then
    rm -f "$log"
  else
    echo "failed: $*; the end of its log, $log:" >&2
    tail -n 30 "$log" >&2
    return 1
  fi
}

need_packages() {
  local group names=() missing=() word
  for group in "$@"; do
    word=$(packages_of_group "$group") || exit 2
    read -ra word <<<"${word//$'\n'/ }"
    names+=("${word[@]}")
  done

  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    echo "This system has no apt. Install, under whatever names it has them, and see README:" >&2
    echo "  ${names[*]}" >&2
    exit 3
  fi

  mapfile -t missing < <(printf '%s\n' "${names[@]}" | missing_packages)
  [[ ${#missing[@]} -eq 0 ]] && return 0

  if [[ $EUID -ne 0 ]]; then
    # With the update: on a fresh machine apt may not know a single package yet.
    echo "sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}"
    exit 3
  fi

  export DEBIAN_FRONTEND=noninteractive
  local apt=(apt-get -o DPkg::Lock::Timeout=300)
  echo "installing: ${missing[*]}" >&2
  logged "${apt[@]}" update || exit 1
  logged "${apt[@]}" install -y --no-install-recommends "${missing[@]}" || exit 1
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  set -euo pipefail
  need_packages "$@"
fi
