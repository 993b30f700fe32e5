// What dsa_tune measures with: tensors on one side, filled, and the time of a call on them.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <vector>

#include "core/context.h"

namespace dsa {

// Seconds, of a clock that runs evenly.
double now();

class Lab {
 public:
  explicit Lab(dsa_ctx& ctx) : ctx_(ctx) {}
  virtual ~Lab() = default;
  Lab(const Lab&) = delete;
  Lab& operator=(const Lab&) = delete;

  dsa_ctx* ctx() const { return &ctx_; }

  // A dense tensor that lives until `clear`. Its numbers lie in [-1, 1); u8 is left zero.
  dsa_tensor numbers(int32_t dtype, std::initializer_list<int64_t> shape);
  // [rows, k] i32: k different keys below `keys`, other ones in every row.
  dsa_tensor selection(int64_t rows, int32_t k, int64_t keys);
  virtual void clear() = 0;

  // Seconds of a call among calls that follow each other, as those of a model's layers do: the
  // shortest of a few batches, for what disturbs only ever delays. Negative where no kernel
  // takes it; other errors are thrown.
  double seconds(const std::function<dsa_status(const dsa_exec*)>& call);
  // Of a call that its caller waits for.
  double seconds_waited(const std::function<dsa_status(const dsa_exec*)>& call);
  // Once, and waits.
  dsa_status run(const std::function<dsa_status(const dsa_exec*)>& call);

 protected:
  // Memory until `clear`, with the content of `from`.
  virtual void* keep(const void* from, uint64_t bytes) = 0;
  virtual dsa_tensor placed(dsa_tensor tensor) const { return tensor; }
  virtual void* stream() const { return nullptr; }
  virtual void wait() {}

 private:
  double measure(const std::function<dsa_status(const dsa_exec*)>& call, bool waited);

  dsa_ctx& ctx_;
};

// The CPU's.
class CpuLab final : public Lab {
 public:
  using Lab::Lab;
  void clear() override { kept_.clear(); }

 protected:
  void* keep(const void* from, uint64_t bytes) override;

 private:
  struct Free {
    void operator()(void* memory) const;
  };
  std::vector<std::unique_ptr<void, Free>> kept_;
};

}  // namespace dsa
