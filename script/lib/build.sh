# Configuring and building below build/, a folder a preset of CMakePresets.json. Run from the root.

jobs=${DSA_JOBS:-$(nproc)}

# configure PRESET [cmake options]: quiet unless it fails. A tree that is configured already keeps
# its settings apart from the options given here; a new one gets neither tests nor -Werror.
configure() {
  local preset=$1 log fresh=()
  shift
  log=build/$preset.configure.log
  mkdir -p build
  [[ -f build/$preset/CMakeCache.txt ]] || fresh=(-DDSA_TESTS=OFF -DDSA_WERROR=OFF)
  if [[ -f build/$preset/CMakeCache.txt ]]; then
    cmake build/"$preset" "$@" >"$log" 2>&1 || { cat "$log" >&2; return 1; }
  else
    cmake --preset "$preset" "${fresh[@]}" "$@" >"$log" 2>&1 || {
      cat "$log" >&2
      rm -f "build/$preset/CMakeCache.txt"
      return 1
    }
  fi
}

# build PRESET [targets]: ninja's own progress on a terminal; elsewhere its last line, or the
# failures with what the compiler said.
build() {
  local preset=$1 log
  shift
  log=build/$preset.build.log
  [[ $# -eq 0 ]] || set -- --target "$@"
  if [[ -t 1 ]]; then
    cmake --build "build/$preset" -j "$jobs" "$@"
  else
    cmake --build "build/$preset" -j "$jobs" "$@" >"$log" 2>&1 || {
      grep -v '^\[[0-9]*/[0-9]*\] \(Building\|Linking\)' "$log" | head -n 300
      return 1
    }
    tail -n 1 "$log"
  fi
}
