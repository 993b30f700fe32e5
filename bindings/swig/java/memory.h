#pragma once
// Java's side of tensors: arrays are copied, direct buffers are held by a global reference.

#include <dsa.h>
#include <jni.h>

#include <memory>

#include "core/error.h"
#include "core/tensor.h"

namespace dsa_swig {

struct BufferMemory final : Memory {
  BufferMemory(JNIEnv *env, jobject buffer, int64_t offset, int64_t size) {
    auto *address = static_cast<char *>(env->GetDirectBufferAddress(buffer));
    if (!address) fail("tensor.data must lie in a direct buffer; this one is on the Java heap");
    data = address + offset;
    bytes = static_cast<uint64_t>(size);
    env->GetJavaVM(&vm_);
    buffer_ = env->NewGlobalRef(buffer);
    if (!buffer_) throw std::bad_alloc();
  }

  // Runs on a thread of Java: the one that closes the last holder, or the cleaner's.
  ~BufferMemory() override {
    void *env = nullptr;
    if (vm_->GetEnv(&env, JNI_VERSION_1_8) == JNI_OK) {
      static_cast<JNIEnv *>(env)->DeleteGlobalRef(buffer_);
    }
  }

 private:
  JavaVM *vm_ = nullptr;
  jobject buffer_ = nullptr;
};

inline void raise(JNIEnv *env, dsa_status status, const char *text) {
  const jclass type = env->FindClass("libdsa/DsaException");
  if (!type) return;  // a NoClassDefFoundError is on its way
  const jmethodID make = env->GetMethodID(type, "<init>", "(ILjava/lang/String;)V");
  const jstring message = make ? env->NewStringUTF(text) : nullptr;
  if (!message) return;
  const jobject exception = env->NewObject(type, make, status, message);
  if (exception) env->Throw(static_cast<jthrowable>(exception));
}

inline Axes axes_of(JNIEnv *env, jlongArray array) {
  static_assert(sizeof(jlong) == sizeof(int64_t));
  Axes axes;
  axes.count = array ? env->GetArrayLength(array) : 0;
  if (axes.count > 5) fail("tensor.shape has %d axes, must have 1 to 5", axes.count);
  if (axes.count > 0) {
    env->GetLongArrayRegion(array, 0, axes.count, reinterpret_cast<jlong *>(axes.values));
  }
  return axes;
}

// Both directions of one type of array.
template <class Array, class Value>
struct ArrayCopy {
  Element element;
  void (JNIEnv::*read)(Array, jsize, jsize, Value *);
  void (JNIEnv::*write)(Array, jsize, jsize, const Value *);

  void into(const dsa_tensor *self, JNIEnv *env, Array array) const {
    const jsize count = length(env, array);
    void *data = static_cast<const Tensor *>(self)->elements_for_copy(element, count);
    (env->*read)(array, 0, count, static_cast<Value *>(data));
  }

  void out_of(const dsa_tensor *self, JNIEnv *env, Array array) const {
    const jsize count = length(env, array);
    const void *data = static_cast<const Tensor *>(self)->elements_for_copy(element, count);
    (env->*write)(array, 0, count, static_cast<const Value *>(data));
  }

 private:
  static jsize length(JNIEnv *env, Array array) {
    if (!array) fail("the array is null");
    return env->GetArrayLength(array);
  }
};

inline constexpr ArrayCopy<jfloatArray, jfloat> kFloats{
    Element::kFloat, &JNIEnv::GetFloatArrayRegion, &JNIEnv::SetFloatArrayRegion};
inline constexpr ArrayCopy<jintArray, jint> kInts{Element::kInt, &JNIEnv::GetIntArrayRegion,
                                                  &JNIEnv::SetIntArrayRegion};
inline constexpr ArrayCopy<jshortArray, jshort> kShorts{
    Element::kShort, &JNIEnv::GetShortArrayRegion, &JNIEnv::SetShortArrayRegion};
inline constexpr ArrayCopy<jbyteArray, jbyte> kBytes{Element::kByte, &JNIEnv::GetByteArrayRegion,
                                                     &JNIEnv::SetByteArrayRegion};

}  // namespace dsa_swig
