#pragma once
// The dense part of a transformer. Rows are dense f32 unless a stride is given.

#include <cstdint>
#include <vector>

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

// Rotary embedding in NeoX halves: (a, b) -> (a cos - b sin, b cos + a sin), a the first half of
// the vector, angle position * theta^(-2i/n). Sines of a run of positions serve all layers and
// heads.
class Rope {
 public:
  Rope(int n, double theta);

  // The rows of the calls that follow stand at positions first, first + 1, ...
  void prepare(int64_t first, int64_t rows);

  // Rotates from[n] of row `row` into to[n]; they may be the same.
  void rotate(int64_t row, const float *from, float *to) const;

 private:
  int half_;
  std::vector<float> frequency_;  // [n / 2]
  std::vector<float> cos_, sin_;  // [rows, n / 2]
};

// Next-token loss -log softmax(logits)[target], in nats.
float next_byte_loss(int64_t n, const float *logits, int64_t target);

// The largest; of equal ones the first.
int64_t argmax(int64_t n, const float *values);

// max |a - b|; NaN counts as infinite.
double max_difference(int64_t n, const float *a, const float *b);

}  // namespace tinylm
