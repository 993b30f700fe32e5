/* What Java adds: DsaException, AutoCloseable proxies that the garbage collector frees too, arrays
 * and direct buffers. */

%{
#include "java/memory.h"

/* A failing wrapper returns nothing that anybody reads: Java throws first. */
#define DSA_RAISE_IN_JAVA(status, text, nothing) \
  do {                                           \
    dsa_swig::raise(jenv, status, text);         \
    return nothing;                              \
  } while (0)
%}
#define DSA_RAISE(status, text) DSA_RAISE_IN_JAVA(status, text, $null)
%include "core/errors.i"

%javaconst(1);

%pragma(java) jniclasscode=%{
  static {
    NativeLibrary.load();
  }
%}

/* A proxy's memory goes by close(), or by the cleaner when nobody holds the proxy any more. */
%typemap(javainterfaces) SWIGTYPE "AutoCloseable"
%typemap(javabody) SWIGTYPE %{
  private long swigCPtr;
  private final java.lang.ref.Cleaner.Cleanable memory;

  $javaclassname(long cPtr, boolean owned) {
    swigCPtr = cPtr;
    memory = Handles.own(this, $imclassname::delete_$javaclassname, cPtr);
  }

  static long getCPtr($javaclassname proxy) {
    if (proxy == null) return 0;
    if (proxy.swigCPtr == 0) {
      throw new DsaException(Dsa.ERROR_INVALID, "the $javaclassname is closed");
    }
    return proxy.swigCPtr;
  }
%}
%typemap(javafinalize) SWIGTYPE ""
%typemap(javadestruct, methodname="close", methodmodifiers="@Override public synchronized", parameters="") SWIGTYPE {
    swigCPtr = 0;
    memory.clean();
  }

/* A context is shared between threads: closing it leaves the proxy's own few bytes to the cleaner,
 * so that a call on another thread finds a closed context and not a freed one. */
%typemap(javadestruct, methodname="delete", methodmodifiers="private", parameters="") dsa_swig::Context {
    memory.clean();
  }
%javamethodmodifiers dsa_swig::Context::close "@Override public"

%typemap(out) dsa_tensor * {
  *(dsa_swig::Tensor **)&$result = dsa_swig::held(arg1)->get(*$1);
}
%typemap(out) dsa_tensor *dsa_tensor, dsa_new_tensor * {
  *(dsa_tensor **)&$result = $1;
}
%typemap(javaout) dsa_tensor * {
    long cPtr = $jnicall;
    return (cPtr == 0) ? null : new $javaclassname(cPtr, true);
  }

/* Extents are the last argument of what makes a tensor. */
%typemap(jni) const dsa_swig::Axes & "jlongArray"
%typemap(jtype) const dsa_swig::Axes & "long[]"
%typemap(jstype) const dsa_swig::Axes & "long[]"
%typemap(jstype) const dsa_swig::Axes &shape "long..."
%typemap(javain) const dsa_swig::Axes & "$javainput"
%typemap(in) const dsa_swig::Axes & (dsa_swig::Axes axes) {
  try {
    axes = dsa_swig::axes_of(jenv, $input);
  } catch (const dsa_swig::Error &error) {
    DSA_RAISE(error.status, error.text.c_str());
  }
  $1 = &axes;
}

%typemap(in, numinputs=0) JNIEnv *jenv "$1 = jenv;"
%define DSA_PASSES(jni_type, java_type)
%typemap(jni) jni_type #jni_type
%typemap(jtype) jni_type #java_type
%typemap(jstype) jni_type #java_type
%typemap(javain) jni_type "$javainput"
%typemap(in) jni_type "$1 = $input;"
%enddef
DSA_PASSES(jobject, java.nio.Buffer)
DSA_PASSES(jfloatArray, float[])
DSA_PASSES(jintArray, int[])
DSA_PASSES(jshortArray, short[])
DSA_PASSES(jbyteArray, byte[])

%javamethodmodifiers dsa_tensor::in "";
%newobject dsa_tensor::in;
%extend dsa_tensor {
  static dsa_new_tensor *in(JNIEnv *jenv, jobject buffer, int64_t offset, int64_t bytes,
                            int32_t dtype, const dsa_swig::Axes &shape) {
    auto memory = std::make_shared<dsa_swig::BufferMemory>(jenv, buffer, offset, bytes);
    return dsa_swig::Tensor::in(std::move(memory), dtype, shape);
  }
  void set(JNIEnv *jenv, jfloatArray values) { dsa_swig::kFloats.into($self, jenv, values); }
  void set(JNIEnv *jenv, jintArray values) { dsa_swig::kInts.into($self, jenv, values); }
  void set(JNIEnv *jenv, jshortArray values) { dsa_swig::kShorts.into($self, jenv, values); }
  void set(JNIEnv *jenv, jbyteArray values) { dsa_swig::kBytes.into($self, jenv, values); }
  void get(JNIEnv *jenv, jfloatArray values) { dsa_swig::kFloats.out_of($self, jenv, values); }
  void get(JNIEnv *jenv, jintArray values) { dsa_swig::kInts.out_of($self, jenv, values); }
  void get(JNIEnv *jenv, jshortArray values) { dsa_swig::kShorts.out_of($self, jenv, values); }
  void get(JNIEnv *jenv, jbyteArray values) { dsa_swig::kBytes.out_of($self, jenv, values); }
}

%typemap(javacode) dsa_tensor %{
  /** A tensor with a copy of the array: elements of F32. */
  public static Tensor of(float[] values, long... shape) {
    return Handles.filled(new Tensor(Dsa.F32, shape), tensor -> tensor.set(values));
  }

  /** A tensor with a copy of the array: elements of I32. */
  public static Tensor of(int[] values, long... shape) {
    return Handles.filled(new Tensor(Dsa.I32, shape), tensor -> tensor.set(values));
  }

  /** A tensor in a direct buffer, from its position on; it and all descriptors that it is set into
   *  keep the buffer alive. Nothing is copied. */
  public static Tensor of(java.nio.ByteBuffer buffer, int dtype, long... shape) {
    return Buffers.tensor(buffer, buffer.order(), 1, dtype, shape);
  }

  public static Tensor of(java.nio.ShortBuffer buffer, int dtype, long... shape) {
    return Buffers.tensor(buffer, buffer.order(), 2, dtype, shape);
  }

  public static Tensor of(java.nio.FloatBuffer buffer, long... shape) {
    return Buffers.tensor(buffer, buffer.order(), 4, Dsa.F32, shape);
  }

  public static Tensor of(java.nio.IntBuffer buffer, long... shape) {
    return Buffers.tensor(buffer, buffer.order(), 4, Dsa.I32, shape);
  }

  public float[] toFloats() {
    float[] values = new float[Math.toIntExact(elements())];
    get(values);
    return values;
  }

  public int[] toInts() {
    int[] values = new int[Math.toIntExact(elements())];
    get(values);
    return values;
  }
%}
