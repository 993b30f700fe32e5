#include "cuda/topk/topk.h"

#include <algorithm>

#include "cuda/capability.h"
#include "cuda/topk/form.h"
#include "cuda/topk/split.h"
#include "cuda/topk/stages.h"

namespace dsa::cuda {
namespace {

using namespace topk;

// In order of preference, as in the registry.
const Form* const kForms[] = {&kCluster, &kRegisters, &kWarp, &kSplit, &kGated, &kBlock};

// A form with what stands before and behind it. kBlock takes any call as it is.
const char* refuse(const Form& form, const TopkCall& c) {
  if (&form == &kBlock) return nullptr;
  const Stages stages(c);
  if (!stages.any()) return form.refuse(c);
  const char* const reason = stages.refuse();
  return reason ? reason : form.refuse(stages.form_call());
}

// Never less for fewer keys, shorter rows, fewer rows, which another form may take: what has no
// stages and no workspace has none, all else enough for each of them.
uint64_t workspace(const Form& form, const TopkCall& c, int32_t multiprocessors) {
  const Stages stages(c);
  const uint64_t own = form.workspace(c, multiprocessors);
  const uint64_t any = split_workspace(c, multiprocessors);
  if (&form == &kBlock) return std::max(own, stages.workspace() + any);
  return stages.any() ? stages.workspace() + std::max(own, any) : own;
}

cudaError_t launch(const Form& form, const TopkCall& c, const Run& run) {
  if (&form == &kBlock) return form.launch(c, run);
  const Stages stages(c);
  return stages.any() ? stages.launch(form, run) : form.launch(c, run);
}

cudaError_t load(const Form& form) {
  const cudaError_t error = form.load();
  return &form == &kBlock || error != cudaSuccess ? error : load_stages();
}

// All that as a kernel of dsa_topk.
template <const Form& form>
const char* refuse(const TopkParams& p) {
  return refuse(form, whole_call(p));
}
template <const Form& form>
uint64_t workspace(const TopkParams& p, int32_t multiprocessors) {
  return workspace(form, whole_call(p), multiprocessors);
}
template <const Form& form>
cudaError_t launch(const TopkParams& p, const Run& run) {
  return launch(form, whole_call(p), run);
}
template <const Form& form>
cudaError_t load() {
  return load(form);
}

template <const Form& form>
constexpr Kernel kernel_of(const char* name, const char* family, int32_t min_capability,
                           int32_t max_capability = 0) {
  return make_kernel<TopkParams, refuse<form>, workspace<form>, launch<form>, load<form>>(
      name, family, min_capability, max_capability);
}

}  // namespace

constinit const Kernel kTopkWarp = kernel_of<kWarp>("cuda.topk.warp.sm80", "sm80", 80);
constinit const Kernel kTopkRegisters =
    kernel_of<kRegisters>("cuda.topk.registers.sm80", "sm80", 80);
constinit const Kernel kTopkCluster = kernel_of<kCluster>("cuda.topk.cluster.sm90", "sm90", 90, 90);
constinit const Kernel kTopkSplit = kernel_of<kSplit>("cuda.topk.split.sm80", "sm80", 80);
constinit const Kernel kTopkGated = kernel_of<kGated>("cuda.topk.gated.sm80", "sm80", 80);
constinit const Kernel kTopkBlock = kernel_of<kBlock>("cuda.topk.block.sm80", "sm80", 80);

cudaError_t enqueue_topk(const TopkParams& params, int64_t first_row, int64_t row_count,
                         const Run& run) {
  const TopkCall call = {params, first_row, row_count};
  for (const Form* form : kForms) {
    if (form->runs_on(run.device->compute_capability) && !refuse(*form, call)) {
      return launch(*form, call, run);
    }
  }
  return cudaErrorNotSupported;
}

uint64_t topk_workspace(const TopkParams& params, int64_t row_count, int32_t multiprocessors) {
  const TopkCall call = {params, 0, row_count};
  uint64_t bytes = 0;
  for (const Form* form : kForms) bytes = std::max(bytes, workspace(*form, call, multiprocessors));
  return bytes;
}

cudaError_t load_topk() {
  int32_t capability = 0;
  cudaError_t error = code_capability(capability);
  for (const Form* form : kForms) {
    if (error == cudaSuccess && form->runs_on(capability)) error = load(*form);
  }
  return error;
}

}  // namespace dsa::cuda
