// Where the constants of a machine lie, and how they get there and back.
#pragma once

#include <string>

#include "core/kernel.h"
#include "hybrid/tune.h"

namespace dsa {

// One line that tells machines apart whose constants differ: CPU, tier, number of CPUs, GPU.
// `device` NULL: none.
std::string machine_line(CpuTier tier, const DeviceInfo* device);

// The file: `option` (dsa_ctx_options.tune_path), DSA_TUNE_FILE, then
// $XDG_CACHE_HOME/libdsa/tune-<machine>.txt or ~/.cache/libdsa/...; "" where there is no home.
struct TunePath {
  std::string path;
  bool is_default = false;  // in the user's cache folder, which may have to be made
};
TunePath find_tune_path(const char* option, const std::string& environment,
                        const std::string& machine);

// Reads the file into `tune`, which stays as it is where that fails; returns why, or "".
std::string load_tune(const std::string& path, const std::string& machine, Tune& tune);

// Throws what save_tune would throw, and leaves nothing behind (but the cache folder).
void check_writable(const TunePath& where);

// Writes it as a whole or not at all; throws DSA_ERROR_INVALID naming the path and the reason.
void save_tune(const TunePath& where, const std::string& machine, const Tune& tune);

}  // namespace dsa
