#include "model.h"

#include <bit>

namespace engine {
namespace {

// splitmix64: numbers in [-1, 1).
class Noise {
 public:
  Noise(int token, int position, int use)
      : state_((static_cast<uint64_t>(token) << 40) ^ (static_cast<uint64_t>(position) << 8) ^
               static_cast<uint64_t>(use)) {}

  float next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return static_cast<float>(static_cast<int32_t>((z ^ (z >> 31)) >> 32)) * 0x1p-31f;
  }

 private:
  uint64_t state_;
};

// Cut, not rounded: the values are made up anyway.
Bf16 narrow(float value) { return static_cast<Bf16>(std::bit_cast<uint32_t>(value) >> 16); }

void fill(Noise noise, Bf16 *values, int count) {
  for (int i = 0; i < count; ++i) values[i] = narrow(noise.next());
}

}  // namespace

float widen(Bf16 value) { return std::bit_cast<float>(static_cast<uint32_t>(value) << 16); }

void make_query(int token, int position, Bf16 *q, Bf16 *index_q, float *index_w) {
  fill({token, position, 1}, q, Shape::kHeads * Shape::kDim);
  fill({token, position, 2}, index_q, Shape::kIndexHeads * Shape::kIndexDim);
  Noise noise(token, position, 3);
  for (int h = 0; h < Shape::kIndexHeads; ++h) index_w[h] = noise.next();
}

void make_key(int token, int position, Bf16 *kv, Bf16 *index_key) {
  fill({token, position, 4}, kv, Shape::kDim);
  fill({token, position, 5}, index_key, Shape::kIndexDim);
}

int next_token(const float *out) {
  int best = 0;
  for (int i = 1; i < Shape::kHeads * Shape::kValueDim; ++i) {
    if (out[i] > out[best]) best = i;
  }
  return best;
}

}  // namespace engine
