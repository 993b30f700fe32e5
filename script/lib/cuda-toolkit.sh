#!/usr/bin/env bash
# need_cuda_toolkit: a CUDA compiler for CMake. Exports CUDACXX: the machine's own nvcc where there
# is one of 12.8 or later, else NVIDIA's from the Python registry that this machine's pip uses,
# unpacked into a private folder; nothing is installed. Needs no root and no GPU.

# Raise it when what is unpacked changes: an older cache is then fetched again.
kCudaToolkitLayout=1
kCudaToolkitOldest=12.8  # the first nvcc that the module's sources are written for
kCudaToolkitPackages=(nvidia-cuda-nvcc nvidia-cuda-crt nvidia-nvvm nvidia-cuda-runtime
                      nvidia-cuda-cccl)
kCudaToolkitVersion='13.0.*'

cuda_toolkit_fails() {
  echo "cuda-toolkit: $*" >&2
  exit 3
}

# Whether $1 is an nvcc that is new enough.
is_usable_nvcc() {
  local version
  version=$("$1" --version 2>/dev/null | sed -n 's/.*release \([0-9.]*\),.*/\1/p')
  [[ -n $version ]] &&
    [[ $(printf '%s\n' "$kCudaToolkitOldest" "$version" | sort -V | head -n 1) == "$kCudaToolkitOldest" ]]
}

# Prints the machine's own nvcc, or fails.
own_nvcc() {
  local nvcc
  for nvcc in "${CUDACXX:-}" "$(command -v nvcc || true)" /usr/local/cuda/bin/nvcc; do
    [[ -n $nvcc ]] && is_usable_nvcc "$nvcc" && echo "$nvcc" && return 0
  done
  return 1
}

# Unpacks the packages into $1 by a pip of this machine, or of an environment in $2.
unpack_cuda_toolkit() {
  local into=$1 scratch=$2 python=${PYTHON:-python3} package wanted=()
  if ! "$python" -m pip --version >/dev/null 2>&1; then
    "$python" -m venv "$scratch/venv" || return 1
    python=$scratch/venv/bin/python
  fi
  for package in "${kCudaToolkitPackages[@]}"; do wanted+=("$package==$kCudaToolkitVersion"); done
  "$python" -m pip install --disable-pip-version-check --no-input --no-cache-dir --no-deps \
    --no-compile --only-binary=:all: --target "$into" "${wanted[@]}" || return 1
  # nvcc looks for its libraries in lib64, the packages have them in lib.
  ln -s lib "$into/nvidia/cu13/lib64"
  is_usable_nvcc "$into/nvidia/cu13/bin/nvcc"
}

need_cuda_toolkit() {
  local nvcc
  if nvcc=$(own_nvcc); then
    export CUDACXX=$nvcc
    return 0
  fi
  local home=${XDG_CACHE_HOME:-$HOME/.cache}/libdsa/cuda
  local root=$home/$kCudaToolkitLayout
  if [[ ! -e $root/complete ]]; then
    local lock scratch
    mkdir -p "$home"
    exec {lock}>"$home/lock"
    flock "$lock"
    if [[ ! -e $root/complete ]]; then
      "${PYTHON:-python3}" -c 'import pip' 2>/dev/null ||
        "${PYTHON:-python3}" -c 'import venv, ensurepip' 2>/dev/null ||
        cuda_toolkit_fails "there is no nvcc of $kCudaToolkitOldest or later, and without pip" \
          "(packages python3-pip or python3-venv) it cannot be fetched"
      scratch=$(mktemp -d "$home/fetch.XXXXXX")
      echo "cuda-toolkit: fetching nvcc $kCudaToolkitVersion with pip, once" >&2
      if ! unpack_cuda_toolkit "$scratch/root" "$scratch" >"$home/fetch.log" 2>&1; then
        tail -n 20 "$home/fetch.log" >&2
        rm -rf "$scratch"
        cuda_toolkit_fails "nvcc could not be fetched with pip; the log is $home/fetch.log"
      fi
      rm -rf "$root"
      touch "$scratch/root/complete"
      mv "$scratch/root" "$root"
      rm -rf "$scratch"
    fi
    exec {lock}>&-
  fi
  export CUDACXX=$root/nvidia/cu13/bin/nvcc
}
