/* What C# adds: DsaException, IDisposable proxies that are finalized too, arrays. */

%{
#include "core/error.h"

/* The managed side keeps the exception of this thread and throws it when the wrapper is back. */
typedef void(SWIGSTDCALL *DsaRaise)(int32_t status, const char *text);
static DsaRaise dsa_raise;
extern "C" SWIGEXPORT void SWIGSTDCALL dsa_csharp_set_raise(DsaRaise raise) { dsa_raise = raise; }

#define DSA_RAISE_IN_CSHARP(status, text, nothing) \
  do {                                             \
    dsa_raise(status, text);                       \
    return nothing;                                \
  } while (0)
%}
#define DSA_RAISE(status, text) DSA_RAISE_IN_CSHARP(status, text, $null)
%include "core/errors.i"

%csconst(1);

%pragma(csharp) imclasscode=%{
  internal delegate void RaiseDelegate(int status, string text);

  [global::System.Runtime.InteropServices.DllImport("$dllimport", EntryPoint="dsa_csharp_set_raise")]
  private static extern void SetRaise(RaiseDelegate raise);

  // Held here, so that it outlives every call.
  internal static readonly RaiseDelegate raise = SetUpRaise();

  private static RaiseDelegate SetUpRaise() {
    RaiseDelegate made = (status, text) => SWIGPendingException.Set(new DsaException(status, text));
    SetRaise(made);
    return made;
  }
%}

%typemap(csbody) SWIGTYPE %{
  private global::System.Runtime.InteropServices.HandleRef swigCPtr;
  protected bool swigCMemOwn;

  internal $csclassname(global::System.IntPtr cPtr, bool cMemoryOwn) {
    swigCMemOwn = cMemoryOwn;
    swigCPtr = new global::System.Runtime.InteropServices.HandleRef(this, cPtr);
  }

  internal static global::System.Runtime.InteropServices.HandleRef getCPtr($csclassname proxy) {
    if (proxy == null)
      return new global::System.Runtime.InteropServices.HandleRef(null, global::System.IntPtr.Zero);
    if (proxy.swigCPtr.Handle == global::System.IntPtr.Zero)
      throw new DsaException(Dsa.ERROR_INVALID, "the $csclassname is closed");
    return proxy.swigCPtr;
  }
%}
%typemap(csdisposing, methodname="Dispose", methodmodifiers="protected", parameters="bool disposing") SWIGTYPE {
    lock (this) {
      if (swigCPtr.Handle != global::System.IntPtr.Zero && swigCMemOwn) {
        swigCMemOwn = false;
        $imcall;
      }
      swigCPtr = new global::System.Runtime.InteropServices.HandleRef(null, global::System.IntPtr.Zero);
    }
  }

/* A context is shared between threads: disposing of it leaves the proxy's own few bytes to the
 * finalizer, so that a call on another thread finds a closed context and not a freed one. */
%typemap(csdispose) dsa_swig::Context %{
  ~$csclassname() {
    Dispose(false);
  }

  public void Dispose() {
    Dispose(true);
  }
%}
%typemap(csdisposing, methodname="Dispose", methodmodifiers="protected", parameters="bool disposing") dsa_swig::Context {
    if (disposing) {
      Close();
    } else if (swigCMemOwn) {
      $imcall;
    }
  }
%csmethodmodifiers dsa_swig::Context::close "private";

/* Tensors that come out of a descriptor are their own. */
%typemap(out) dsa_tensor * "$result = (void *)dsa_swig::held(arg1)->get(*$1);"
%typemap(out) dsa_tensor *dsa_tensor, dsa_new_tensor * "$result = (void *)$1;"
%typemap(csvarout, excode=SWIGEXCODE2) dsa_tensor * %{
    get {
      global::System.IntPtr cPtr = $imcall;
      $csclassname ret = (cPtr == global::System.IntPtr.Zero) ? null : new $csclassname(cPtr, true);$excode
      return ret;
    } %}

/* Axes cross as one array, their number first. */
%typemap(ctype) const dsa_swig::Axes & "const int64_t *"
%typemap(imtype) const dsa_swig::Axes & "long[]"
%typemap(cstype) const dsa_swig::Axes & "long[]"
%typemap(cstype) const dsa_swig::Axes &shape "params long[]"
%typemap(csin) const dsa_swig::Axes & "Arrays.Counted($csinput)"
%typemap(in, canthrow=1) const dsa_swig::Axes & (dsa_swig::Axes axes) {
  if ($input[0] > 5) {
    DSA_RAISE(DSA_ERROR_INVALID, "tensor.shape has more than 5 axes");
  }
  axes.count = static_cast<int32_t>($input[0]);
  std::memcpy(axes.values, $input + 1, sizeof(int64_t) * static_cast<size_t>(axes.count));
  $1 = &axes;
}

%define DSA_ARRAYS(type, element)
%typemap(ctype) type *values "type *"
%typemap(imtype, inattributes="[global::System.Runtime.InteropServices.In, global::System.Runtime.InteropServices.Out]")
  type *values #element "[]"
%typemap(cstype) type *values #element "[]"
%typemap(csin) type *values "$csinput"
%typemap(in) type *values "$1 = $input;"
%enddef
DSA_ARRAYS(float, float)
DSA_ARRAYS(int32_t, int)
DSA_ARRAYS(int16_t, short)
DSA_ARRAYS(uint8_t, byte)

%csmethodmodifiers dsa_tensor::read "private";
%csmethodmodifiers dsa_tensor::write "private";
%define DSA_COPIES(type, kind)
%extend dsa_tensor {
  void read(type *values, int64_t count) {
    const auto *tensor = static_cast<const dsa_swig::Tensor *>($self);
    const void *data = tensor->elements_for_copy(dsa_swig::Element::kind, count);
    std::memcpy(values, data, sizeof(type) * static_cast<size_t>(count));
  }
  void write(type *values, int64_t count) {
    const auto *tensor = static_cast<const dsa_swig::Tensor *>($self);
    void *data = tensor->elements_for_copy(dsa_swig::Element::kind, count);
    std::memcpy(data, values, sizeof(type) * static_cast<size_t>(count));
  }
}
%enddef
DSA_COPIES(float, kFloat)
DSA_COPIES(int32_t, kInt)
DSA_COPIES(int16_t, kShort)
DSA_COPIES(uint8_t, kByte)

%typemap(cscode) dsa_tensor %{
  /// <summary>A tensor with a copy of the array: elements of F32.</summary>
  public static Tensor Of(float[] values, params long[] shape) {
    return Arrays.Filled(new Tensor(Dsa.F32, shape), tensor => tensor.Set(values));
  }

  /// <summary>A tensor with a copy of the array: elements of I32.</summary>
  public static Tensor Of(int[] values, params long[] shape) {
    return Arrays.Filled(new Tensor(Dsa.I32, shape), tensor => tensor.Set(values));
  }

  public void Set(float[] values) { Write(values, Arrays.Length(values)); }
  public void Set(int[] values) { Write(values, Arrays.Length(values)); }
  public void Set(short[] values) { Write(values, Arrays.Length(values)); }
  public void Set(byte[] values) { Write(values, Arrays.Length(values)); }
  public void Get(float[] values) { Read(values, Arrays.Length(values)); }
  public void Get(int[] values) { Read(values, Arrays.Length(values)); }
  public void Get(short[] values) { Read(values, Arrays.Length(values)); }
  public void Get(byte[] values) { Read(values, Arrays.Length(values)); }

  public float[] ToFloats() {
    var values = new float[Elements()];
    Get(values);
    return values;
  }

  public int[] ToInts() {
    var values = new int[Elements()];
    Get(values);
    return values;
  }
%}
