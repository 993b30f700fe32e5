# An installed libdsa for programs of other languages to build with and run on. Run from the root.

# use_installed PREFIX: exports where pkg-config, the loader and cargo find it, and a folder for
# what cargo builds.
use_installed() {
  local pc
  pc=$(find "$1" -name libdsa.pc -print -quit)
  [[ -n $pc ]] || { echo "no libdsa.pc in $1: install a build there" >&2; return 2; }
  pc=${pc%/*}
  export PKG_CONFIG_PATH=$pc${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
  export LD_LIBRARY_PATH=${pc%/*}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  export CARGO_TARGET_DIR=$PWD/build/rust
  unset DSA_DIR
}

# need_command COMMAND HOW: for toolchains that the system's packages do not bring new enough.
need_command() {
  command -v "$1" >/dev/null && return 0
  echo "$1 is missing. $2" >&2
  exit 3
}
