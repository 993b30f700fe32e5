// Status, version, context.
#include "core/context.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>

#include "api/descriptor.h"
#include "api/guard.h"

using namespace dsa;

const char* dsa_status_name(dsa_status status) {
  switch (status) {
    case DSA_OK:
      return "DSA_OK";
    case DSA_ERROR_INVALID:
      return "DSA_ERROR_INVALID";
    case DSA_ERROR_UNSUPPORTED:
      return "DSA_ERROR_UNSUPPORTED";
    case DSA_ERROR_NO_MEMORY:
      return "DSA_ERROR_NO_MEMORY";
    case DSA_ERROR_WORKSPACE:
      return "DSA_ERROR_WORKSPACE";
    case DSA_ERROR_NO_BACKEND:
      return "DSA_ERROR_NO_BACKEND";
    case DSA_ERROR_CAPTURE:
      return "DSA_ERROR_CAPTURE";
    case DSA_ERROR_DEVICE:
      return "DSA_ERROR_DEVICE";
    case DSA_ERROR_STRUCT_SIZE:
      return "DSA_ERROR_STRUCT_SIZE";
    case DSA_ERROR_INTERNAL:
      return "DSA_ERROR_INTERNAL";
    default:
      return "unknown status";
  }
}

const char* dsa_last_error(void) { return last_error(); }
uint32_t dsa_version(void) { return DSA_VERSION; }
uint32_t dsa_abi_version(void) { return DSA_ABI_VERSION; }

dsa_status dsa_ctx_create(const dsa_ctx_options* given_options, dsa_ctx** out) {
  return guarded([&] {
    if (!out) fail(DSA_ERROR_INVALID, "ctx_create: out is NULL");
    dsa_ctx_options options{};
    if (given_options) {
      const uint32_t size = given_options->struct_size;
      check_struct_size("ctx_options", given_options, size, sizeof(dsa_ctx_options),
                        offsetof(dsa_ctx_options, pinned_bytes));
      std::memcpy(&options, given_options, std::min<size_t>(size, sizeof options));
    }
    constexpr uint32_t kFlags = DSA_CTX_DEVICE_OPTIONAL | DSA_CTX_HYBRID_READY;
    if ((options.flags & ~kFlags) != 0) {
      fail(DSA_ERROR_INVALID, "ctx_options.flags is 0x%x, unknown bits 0x%x", options.flags,
           options.flags & ~kFlags);
    }
    if (options.device != 0 && options.device != DSA_DEVICE_CPU &&
        options.device != DSA_DEVICE_CUDA) {
      fail(DSA_ERROR_INVALID, "ctx_options.device is %d, must be 0 or 1 (CPU) or 2 (CUDA)",
           options.device);
    }
    if (options.device_id < 0) {
      fail(DSA_ERROR_INVALID, "ctx_options.device_id is %d, must be >= 0", options.device_id);
    }
    if (options.num_threads < 0 || options.num_threads > 65536) {
      fail(DSA_ERROR_INVALID, "ctx_options.num_threads is %d, must be 0 to 65536",
           options.num_threads);
    }
    if (options.numa_node < 0) {
      fail(DSA_ERROR_INVALID, "ctx_options.numa_node is %d, must be >= 0", options.numa_node);
    }
    if ((options.cpu_mask == nullptr) != (options.cpu_mask_words == 0)) {
      fail(DSA_ERROR_INVALID, "ctx_options.cpu_mask and cpu_mask_words must be given together");
    }
    if ((options.allocate == nullptr) != (options.release == nullptr)) {
      fail(DSA_ERROR_INVALID, "ctx_options.allocate and release must be given together");
    }
    *out = new dsa_ctx(options);
  });
}

void dsa_ctx_destroy(dsa_ctx* ctx) { delete ctx; }

dsa_status dsa_ctx_describe(const dsa_ctx* ctx, char* text, uint64_t capacity, uint64_t* needed) {
  return guarded([&] {
    if (!ctx) fail(DSA_ERROR_INVALID, "ctx_describe: ctx is NULL");
    if (!text && capacity > 0) fail(DSA_ERROR_INVALID, "ctx_describe: text is NULL");
    const std::string all = describe(*ctx);
    if (needed) *needed = all.size() + 1;
    if (capacity > 0) {
      const uint64_t n = all.size() < capacity - 1 ? all.size() : capacity - 1;
      std::memcpy(text, all.data(), n);
      text[n] = 0;
    }
  });
}
