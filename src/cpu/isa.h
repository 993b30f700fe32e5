// What this CPU can execute, by CPUID and XGETBV (and the kernel's permission for AMX).
#pragma once

#include "core/kernel.h"

namespace dsa::cpu {

struct Isa {
  CpuTier tier = CpuTier::kScalar;  // highest tier whose instructions all run here
  // Why the next tier up does not: static text, "" when the highest is reached.
  const char* limit = "";
  bool avx512_bf16 = false;
  bool avx512_vbmi2 = false;
  char brand[49] = "";  // CPUID brand string
};

const Isa& detect_isa();

const char* tier_name(CpuTier tier);
// "avx2" to kAvx2; false for a name that is no tier.
bool tier_from_name(const char* name, CpuTier& tier);

}  // namespace dsa::cpu
