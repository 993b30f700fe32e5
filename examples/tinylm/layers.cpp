#include "layers.h"

#include <cblas.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace tinylm {
namespace {

blasint blas(int64_t n) { return static_cast<blasint>(n); }

}  // namespace

void linear(int64_t rows, int64_t out, int64_t in, const float *x, int64_t x_stride, const float *w,
            float *y, int64_t y_stride) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas(rows), blas(out), blas(in), 1.0f, x,
              blas(x_stride), w, blas(in), 0.0f, y, blas(y_stride));
}

void linear_transposed(int64_t rows, int64_t out, int64_t in, const float *x, int64_t x_stride,
                       const float *w, float *y, int64_t y_stride) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas(rows), blas(out), blas(in), 1.0f, x,
              blas(x_stride), w, blas(out), 0.0f, y, blas(y_stride));
}

void set_matrix_threads(int threads) { openblas_set_num_threads(threads); }

void rms_norm(int64_t rows, int64_t n, const float *x, int64_t x_stride, const float *gain,
              double eps, float *y, int64_t y_stride) {
  for (int64_t r = 0; r < rows; ++r, x += x_stride, y += y_stride) {
    double squares = 0;
    for (int64_t i = 0; i < n; ++i) squares += static_cast<double>(x[i]) * x[i];
    const auto inverse = static_cast<float>(1 / std::sqrt(squares / static_cast<double>(n) + eps));
    for (int64_t i = 0; i < n; ++i) y[i] = x[i] * inverse * gain[i];
  }
}

void layer_norm(int64_t rows, int64_t n, float *x, const float *gain, const float *bias,
                double eps) {
  for (int64_t r = 0; r < rows; ++r, x += n) {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += x[i];
    const double mean = sum / static_cast<double>(n);
    double squares = 0;
    for (int64_t i = 0; i < n; ++i) squares += (x[i] - mean) * (x[i] - mean);
    const double inverse = 1 / std::sqrt(squares / static_cast<double>(n) + eps);
    for (int64_t i = 0; i < n; ++i) {
      x[i] = static_cast<float>((x[i] - mean) * inverse) * gain[i] + bias[i];
    }
  }
}

void silu_gate(int64_t n, float *gate, const float *up) {
  for (int64_t i = 0; i < n; ++i) gate[i] = gate[i] / (1.0f + std::exp(-gate[i])) * up[i];
}

void add(int64_t n, float *a, const float *b) {
  for (int64_t i = 0; i < n; ++i) a[i] += b[i];
}

void multiply(int64_t n, float *a, float factor) {
  for (int64_t i = 0; i < n; ++i) a[i] *= factor;
}

Rope::Rope(int n, double theta) : half_(n / 2) {
  for (int i = 0; i < half_; ++i) {
    frequency_.push_back(static_cast<float>(std::pow(theta, -2.0 * i / n)));
  }
}

void Rope::prepare(int64_t first, int64_t rows) {
  const auto size = static_cast<size_t>(rows * half_);
  cosines_.resize(size);
  sines_.resize(size);
  for (int64_t r = 0; r < rows; ++r) {
    for (int i = 0; i < half_; ++i) {
      const float angle = static_cast<float>(first + r) * frequency_[static_cast<size_t>(i)];
      cosines_[static_cast<size_t>(r * half_ + i)] = std::cos(angle);
      sines_[static_cast<size_t>(r * half_ + i)] = std::sin(angle);
    }
  }
}

void rotate(const Rotation &r) {
  for (int64_t row = 0; row < r.rows; ++row) {
    for (int64_t vector = 0; vector < r.vectors; ++vector) {
      for (int64_t i = 0; i < r.half; ++i) rotate_pair(r, row, vector, i);
    }
  }
}

float next_byte_loss(int64_t n, const float *logits, int64_t target) {
  const float largest = *std::max_element(logits, logits + n);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += std::exp(logits[i] - largest);
  return static_cast<float>(std::log(sum) + largest - logits[target]);
}

int64_t argmax(int64_t n, const float *values) {
  return std::max_element(values, values + n) - values;
}

double max_difference(int64_t n, const float *a, const float *b) {
  double most = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double difference = std::fabs(static_cast<double>(a[i]) - b[i]);
    if (std::isnan(difference)) return std::numeric_limits<double>::infinity();
    most = std::max(most, difference);
  }
  return most;
}

}  // namespace tinylm
