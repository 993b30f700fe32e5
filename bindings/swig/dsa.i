/* The interface of all languages: dsa.h, with handles and memory that are owned.
 *
 *   Context    a dsa_ctx; the operations are its methods. A status other than DSA_OK is thrown
 *   Tensor     a dsa_tensor that owns a share of its memory (core/tensor.h)
 *   TopkDesc   and so on: descriptors that start zeroed, with kind and struct_size set; setting a
 *              tensor field keeps its memory alive (core/held.h). None (null, nil): not given
 *   Plan, Exec, Options, Kernel
 *
 * A language adds its own in FOLDER/LANGUAGE.i: how errors are raised, array arguments, the look of
 * its proxies. */
#ifdef SWIGLUA
%module dsa
#else
%module Dsa
#endif

%{
#include <dsa.h>

#include "core/context.h"
#include "core/held.h"

using namespace dsa_swig;

typedef dsa_tensor dsa_new_tensor;
%}
/* What a function returns that makes a tensor; `dsa_tensor *` is a field of a descriptor. */
typedef dsa_tensor dsa_new_tensor;

%include <stdint.i>
%include <std_string.i>

/* Flags and sizes fit a signed number, which every language has. */
%apply int64_t { uint64_t };

/* DSA_F32 is Dsa.F32, dsa_topk_desc is TopkDesc; the functions are methods of what they work on.
 * Members are page_size in Lua, pageSize in Java, PageSize in C#. Of two rules the later holds. */
#if defined(SWIGJAVA)
%rename("%(lowercamelcase)s", %$isfunction) "";
%rename("%(lowercamelcase)s", %$isvariable) "";
#define DSA_FUNCTION(java, csharp, lua) java
#elif defined(SWIGCSHARP)
%rename("%(camelcase)s", %$isfunction) "";
%rename("%(camelcase)s", %$isvariable) "";
#define DSA_FUNCTION(java, csharp, lua) csharp
#else
#define DSA_FUNCTION(java, csharp, lua) lua
#endif
%rename("%(strip:[DSA_])s", %$isenumitem) "";
%rename("%(strip:[DSA_])s", %$isconstant) "";
%rename("$ignore", regexmatch$name="^dsa_", %$isfunction, %$not %$ismember) "";
%rename(DSA_FUNCTION(version, Version, version)) dsa_version;
%rename(DSA_FUNCTION(abiVersion, AbiVersion, abi_version)) dsa_abi_version;
%rename(DSA_FUNCTION(statusName, StatusName, status_name)) dsa_status_name;
%ignore DSA_H;
%ignore dsa_ctx_options;
%ignore dsa_exec;
%ignore dsa_tune_options;
%ignore struct_size;
%ignore kind;
%rename(Tensor) dsa_tensor;
%ignore dsa_tensor::data;
%ignore dsa_tensor::shape;
%ignore dsa_tensor::stride;
%ignore dsa_tensor::device_id;
%ignore dsa_tensor::reserved;
%rename(Kernel) dsa_kernel_info;
%ignore dsa_forward_desc::select;
%ignore dsa_forward_desc::attend;
%immutable dsa_tensor::ndim;
%immutable dsa_tensor::dtype;
%immutable dsa_tensor::device;
%immutable dsa_kernel_info::operation;
%immutable dsa_kernel_info::device;
%immutable dsa_kernel_info::usable;
%immutable dsa_kernel_info::name;
%immutable dsa_kernel_info::family;
%immutable dsa_kernel_info::reason;
%nodefaultctor dsa_kernel_info;

#if defined(SWIGJAVA)
%include "java/java.i"
#elif defined(SWIGLUA)
%include "lua/lua.i"
#elif defined(SWIGCSHARP)
%include "csharp/csharp.i"
#endif

/* Tensor fields of descriptors: copied in with a share of the memory, and out (by the language's
 * typemap) as a tensor of its own. */
%typemap(memberin) dsa_tensor "dsa_swig::held(arg1)->set($1, $input);"

%define DSA_DESCRIPTOR(type, Name)
%rename(Name) type;
%extend type {
  type() { return new dsa_swig::Held<type>(type##_init()); }
  ~type() { delete dsa_swig::held($self); }
}
%enddef
DSA_DESCRIPTOR(dsa_indexer_desc, IndexerDesc)
DSA_DESCRIPTOR(dsa_topk_desc, TopkDesc)
DSA_DESCRIPTOR(dsa_indexer_topk_desc, IndexerTopkDesc)
DSA_DESCRIPTOR(dsa_sparse_attn_desc, SparseAttnDesc)
DSA_DESCRIPTOR(dsa_merge_lse_desc, MergeLseDesc)
DSA_DESCRIPTOR(dsa_forward_desc, ForwardDesc)

/* Copies, as the two are now. */
%extend dsa_forward_desc {
  void set_select(const dsa_indexer_topk_desc *select) { dsa_swig::held($self)->set(select); }
  void set_attend(const dsa_sparse_attn_desc *attend) { dsa_swig::held($self)->set(attend); }
}

%extend dsa_tensor {
  dsa_tensor(int32_t dtype, const dsa_swig::Axes &shape) {
    return dsa_swig::Tensor::zeros(dtype, shape);
  }
  ~dsa_tensor() { delete static_cast<dsa_swig::Tensor *>($self); }

  /* Other extents and strides over the same memory, from `offset` elements behind this start. */
  dsa_new_tensor *view(const dsa_swig::Axes &extents, const dsa_swig::Axes &strides,
                       int64_t offset) {
    return static_cast<dsa_swig::Tensor *>($self)->view(extents, strides, offset);
  }
  int64_t extent(int32_t axis) { return static_cast<dsa_swig::Tensor *>($self)->extent(axis); }
  int64_t step(int32_t axis) { return static_cast<dsa_swig::Tensor *>($self)->step(axis); }
  int64_t elements() { return static_cast<dsa_swig::Tensor *>($self)->open().elements(); }

  /* Memory that nobody vouches for: it must stay valid as long as the tensor and all that it is set
   * into, and be as large as the shape says.
   * `device` is DEVICE_CPU or DEVICE_CUDA, `number`
   * which of them. */
  static dsa_new_tensor *at(int64_t address, int32_t device, int32_t number, int32_t dtype,
                            const dsa_swig::Axes &shape) {
    auto memory = std::make_shared<dsa_swig::ForeignMemory>(reinterpret_cast<void *>(address));
    dsa_tensor *made = dsa_swig::Tensor::in(std::move(memory), dtype, shape);
    made->device = device;
    made->device_id = number;
    return made;
  }
}
%newobject dsa_tensor::view;
%newobject dsa_tensor::at;

%include <dsa.h>

%nodefaultctor dsa_swig::Plan;
%ignore dsa_swig::Exec::get;
%newobject dsa_swig::Context::kernel;
%newobject dsa_swig::Context::plan;

namespace dsa_swig {

struct Options {
  uint32_t flags;
  int32_t device;
  int32_t device_id;
  int32_t num_threads;
  int32_t numa_node;
  std::string module_path;
};

class Plan {
 public:
  const char *kernel() const;
  const char *refused(int32_t i) const;
};

class Exec {
 public:
  Exec();
  void set_stream(int64_t address);
  void set_workspace(const dsa_tensor *workspace);
  void set_plan(const Plan *plan);
};

class Context {
 public:
  Context();
  explicit Context(const Options &options);
  void close();
  std::string describe() const;
  int32_t kernel_count() const;
  dsa_kernel_info *kernel(int32_t i) const;
};

}  // namespace dsa_swig

%define DSA_OPERATION(function, method, desc_type)
%extend dsa_swig::Context {
  void method(const desc_type *desc, const dsa_swig::Exec *exec = nullptr) {
    $self->run(function, desc, exec);
  }
  /* Returns when the call would run; else throws what it would. */
  void check_support(const desc_type *desc) { $self->check_support(desc); }
  int64_t workspace_size(const desc_type *desc) { return $self->workspace_size(desc); }
  dsa_swig::Plan *plan(const desc_type *desc) { return $self->plan(desc); }
}
%enddef
DSA_OPERATION(dsa_indexer, indexer, dsa_indexer_desc)
DSA_OPERATION(dsa_topk, topk, dsa_topk_desc)
DSA_OPERATION(dsa_indexer_topk, indexer_topk, dsa_indexer_topk_desc)
DSA_OPERATION(dsa_sparse_attn, sparse_attn, dsa_sparse_attn_desc)
DSA_OPERATION(dsa_merge_lse, merge_lse, dsa_merge_lse_desc)
DSA_OPERATION(dsa_forward, forward, dsa_forward_desc)
