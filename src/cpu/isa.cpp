#include "cpu/isa.h"

#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace dsa::cpu {
namespace {

constexpr const char* kTierNames[] = {"scalar", "avx2", "avx512", "amx"};

#if defined(__x86_64__)
constexpr long kArchReqXcompPerm = 0x1023;  // arch_prctl code of Linux 5.16
constexpr long kXfeatureTileData = 18;

uint64_t read_xcr0() {
  uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t{high} << 32) | low;
}

void read_brand(char* brand) {
  uint32_t words[12] = {};
  uint32_t top = 0, b, c, d;
  __get_cpuid(0x80000000u, &top, &b, &c, &d);
  if (top < 0x80000004u) return;
  for (uint32_t i = 0; i < 3; ++i) {
    __get_cpuid(0x80000002u + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2],
                &words[4 * i + 3]);
  }
  std::memcpy(brand, words, 48);
  brand[48] = 0;
}

Isa detect() {
  Isa isa;
  read_brand(isa.brand);
  uint32_t a, b1, c1, d1, b7 = 0, c7 = 0, d7 = 0, a71 = 0, b71, c71, d71;
  if (!__get_cpuid(1, &a, &b1, &c1, &d1)) return isa;
  __get_cpuid_count(7, 0, &a, &b7, &c7, &d7);
  __get_cpuid_count(7, 1, &a71, &b71, &c71, &d71);
  const bool osxsave = (c1 >> 27) & 1;
  const uint64_t xcr0 = osxsave ? read_xcr0() : 0;
  const auto has = [](uint32_t word, int bit) { return ((word >> bit) & 1) != 0; };

  if ((xcr0 & 0x6) != 0x6 || !has(b7, 5) || !has(c1, 12) || !has(c1, 29) || !has(c1, 28)) {
    isa.limit = "no AVX2, FMA and F16C, or the system does not save AVX registers";
    return isa;
  }
  isa.tier = CpuTier::kAvx2;
  if ((xcr0 & 0xe6) != 0xe6 || !has(b7, 16) || !has(b7, 17) || !has(b7, 30) || !has(b7, 31)) {
    isa.limit = "no AVX-512 F, DQ, BW and VL, or the system does not save AVX-512 registers";
    return isa;
  }
  isa.tier = CpuTier::kAvx512;
  isa.avx512_bf16 = has(a71, 5);
  isa.avx512_vbmi2 = has(c7, 6);
  if (!has(d7, 24) || !has(d7, 22) || !isa.avx512_bf16 || (xcr0 & 0x60000) != 0x60000) {
    isa.limit = "no AMX tiles with bf16, or the system does not save tile registers";
    return isa;
  }
  if (syscall(SYS_arch_prctl, kArchReqXcompPerm, kXfeatureTileData) != 0) {
    isa.limit = "the system refuses permission for AMX tile data";
    return isa;
  }
  isa.tier = CpuTier::kAmx;
  return isa;
}
#else
Isa detect() {
  Isa isa;
  isa.limit = "not an x86-64 CPU";
  return isa;
}
#endif

}  // namespace

const Isa& detect_isa() {
  static const Isa isa = detect();
  return isa;
}

const char* tier_name(CpuTier tier) { return kTierNames[static_cast<int>(tier)]; }

bool tier_from_name(const char* name, CpuTier& tier) {
  for (int i = 0; i < 4; ++i) {
    if (std::strcmp(name, kTierNames[i]) != 0) continue;
    tier = static_cast<CpuTier>(i);
    return true;
  }
  return false;
}

}  // namespace dsa::cpu
