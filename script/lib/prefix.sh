# What consumes the installed library takes `--prefix DIR`; without it the library is built and
# installed below build/, without tests, tools and examples. Run from the root, after install-deps.sh
# was read.

jobs=${DSA_JOBS:-$(nproc)}

# installed_prefix [DIR]: sets `prefix`, an absolute path of an installed tree.
installed_prefix() {
  if [[ -n ${1:-} ]]; then
    prefix=$(realpath -e "$1") || exit 2
    [[ -e $prefix/include/dsa.h ]] || {
      echo "$prefix/include/dsa.h is not there: no installed libdsa" >&2
      exit 2
    }
    return
  fi
  need_packages build
  prefix=$PWD/build/prefix
  mkdir -p build
  logged cmake -S . -B build/package -G Ninja -DCMAKE_BUILD_TYPE=Release -DDSA_TESTS=OFF \
    -DDSA_TOOLS=OFF -DDSA_EXAMPLES=OFF
  logged cmake --build build/package -j "$jobs"
  logged cmake --install build/package --prefix "$prefix"
}

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
