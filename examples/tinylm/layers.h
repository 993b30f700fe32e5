#pragma once
// The dense part of a transformer, on the CPU. Rows are dense f32 unless a stride is given.

#include <cstdint>
#include <vector>

#if defined(__CUDACC__)
#define TINYLM_EVERYWHERE __host__ __device__
#else
#define TINYLM_EVERYWHERE
#endif

namespace tinylm {

// y[rows, out] = x[rows, in] W^T, W [out, in]. Strides are elements from one row to the next.
void linear(int64_t rows, int64_t out, int64_t in, const float *x, int64_t x_stride, const float *w,
            float *y, int64_t y_stride);

// y[rows, out] = x[rows, in] W, W [in, out].
void linear_transposed(int64_t rows, int64_t out, int64_t in, const float *x, int64_t x_stride,
                       const float *w, float *y, int64_t y_stride);

// Threads of the matrix products (OpenBLAS keeps its own).
void set_matrix_threads(int threads);

// y = x / sqrt(mean(x^2) + eps) * gain; x may be y.
void rms_norm(int64_t rows, int64_t n, const float *x, int64_t x_stride, const float *gain,
              double eps, float *y, int64_t y_stride);

// y = (x - mean) / sqrt(variance + eps) * gain + bias, in place.
void layer_norm(int64_t rows, int64_t n, float *x, const float *gain, const float *bias,
                double eps);

// gate = silu(gate) * up
void silu_gate(int64_t n, float *gate, const float *up);

// a += b
void add(int64_t n, float *a, const float *b);

// a *= factor
void multiply(int64_t n, float *a, float factor);

// Rotary embedding in NeoX halves: (a, b) -> (a cos - b sin, b cos + a sin), a the first half of
// the vector, angle position * theta^(-2i/n). Sines of a run of positions serve all layers and
// heads.
class Rope {
 public:
  Rope(int n, double theta);

  // Rows stand at positions first, first + 1, ...
  void prepare(int64_t first, int64_t rows);
  int64_t half() const { return half_; }
  const std::vector<float> &cosines() const { return cosines_; }  // [rows, n / 2]
  const std::vector<float> &sines() const { return sines_; }

 private:
  int half_;
  std::vector<float> frequency_;  // [n / 2]
  std::vector<float> cosines_, sines_;
};

// `vectors` of 2 half elements in each of `rows`, rotated from one place to another or in place.
struct Rotation {
  int64_t rows, vectors, half;
  const float *cosines, *sines;  // [rows, half]
  const float *from;
  int64_t from_row, from_vector;  // strides
  float *to;
  int64_t to_row, to_vector;
};
void rotate(const Rotation &r);

// Element i of both halves.
TINYLM_EVERYWHERE inline void rotate_pair(const Rotation &r, int64_t row, int64_t vector,
                                          int64_t i) {
  const float *from = r.from + row * r.from_row + vector * r.from_vector;
  float *to = r.to + row * r.to_row + vector * r.to_vector;
  const float c = r.cosines[row * r.half + i], s = r.sines[row * r.half + i];
  const float a = from[i], b = from[r.half + i];
  to[i] = a * c - b * s;
  to[r.half + i] = b * c + a * s;
}

// Next-token loss -log softmax(logits)[target], in nats.
float next_byte_loss(int64_t n, const float *logits, int64_t target);

// The largest; of equal ones the first.
int64_t argmax(int64_t n, const float *values);

// max |a - b|; NaN counts as infinite.
double max_difference(int64_t n, const float *a, const float *b);

}  // namespace tinylm
