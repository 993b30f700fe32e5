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
