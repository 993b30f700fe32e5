// exp(x) for x ≤ 0 (or NaN), in vectors, at most 1.2 ulp off above e^-87.
#pragma once

namespace dsa::cpu {
namespace {

// x = n ln 2 + r with |r| ≤ ln 2 / 2, then a polynomial in r (Cephes expf) times 2^n. Adding 1.5
// 2^23 rounds x / ln 2 to the nearest integer and leaves n in the low bits. What would be below
// 2^-125 becomes 0: next to the largest term, 1, it is nothing. NaN stays NaN.
template <class V>
typename V::F exp_nonpositive(typename V::F x) {
  using F = typename V::F;
  const F lowest = V::set1(-86.5f);
  const F rounder = V::set1(12582912.0f);
  const F clamped = V::max(lowest, x);  // this order keeps a NaN
  const F shifted = V::fma(clamped, V::set1(1.44269504088896341f), rounder);
  const F n = V::sub(shifted, rounder);
  F r = V::fma(n, V::set1(-0.693359375f), clamped);  // exact: 9 bits times n
  r = V::fma(n, V::set1(2.12194440e-4f), r);
  F p = V::set1(1.9875691500e-4f);
  p = V::fma(p, r, V::set1(1.3981999507e-3f));
  p = V::fma(p, r, V::set1(8.3334519073e-3f));
  p = V::fma(p, r, V::set1(4.1665795894e-2f));
  p = V::fma(p, r, V::set1(1.6666665459e-1f));
  p = V::fma(p, r, V::set1(5.0000001201e-1f));
  p = V::add(V::fma(V::mul(r, r), p, r), V::set1(1.0f));
  const auto exponent = V::template shl<23>(V::addi(V::bits_of(shifted), V::set1i(127)));
  return V::select(V::lt(x, lowest), V::zero(), V::mul(p, V::from_bits(exponent)));
}

}  // namespace
}  // namespace dsa::cpu
