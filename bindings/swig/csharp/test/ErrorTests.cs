using System;
using Libdsa;

internal static class ErrorTests {
  private static TopkDesc Desc() {
    return new TopkDesc { Scores = new Tensor(Dsa.F32, 2, 4), K = 2,
                          Indices = new Tensor(Dsa.I32, 2, 2) };
  }

  public static void WrongShape() {
    using (var ctx = new Context())
    using (TopkDesc d = Desc()) {
      d.Indices = new Tensor(Dsa.I32, 2, 1);
      Check.Fails("topk.indices.shape[1] is 1, k is 2", () => ctx.Topk(d));
    }
    Check.Fails("tensor.shape has more than 5 axes", () => new Tensor(Dsa.F32, 1, 1, 1, 1, 1, 1));
    Check.Fails("tensor.shape has 0 axes", () => new Tensor(Dsa.F32));
    Check.Fails("tensor.shape has 0 axes", () => new Tensor(Dsa.F32, null));
    Check.Fails("tensor.shape[1] is -1, must be 0 to 2^40", () => new Tensor(Dsa.F32, 2, -1));
  }

  public static void WrongDtype() {
    using (var ctx = new Context())
    using (TopkDesc d = Desc()) {
      d.Indices = new Tensor(Dsa.F32, 2, 2);
      Check.Fails("topk.indices.dtype is 1 (f32), which this field does not take",
                  () => ctx.Topk(d));
    }
    Check.Fails("tensor.dtype is 99", () => new Tensor(99, 2));
    Check.Fails("tensor.dtype is 3, whose elements are 16-bit, not float",
                () => new Tensor(Dsa.BF16, 4).Set(new float[4]));
  }

  public static void MissingFields() {
    using (var ctx = new Context())
    using (TopkDesc d = Desc()) {
      d.K = 0;
      Check.Fails("topk.k is 0", () => ctx.Topk(d));
      Check.Fails("topk: ", () => ctx.Topk((TopkDesc)null));
    }
  }

  public static void ClosedHandles() {
    var ctx = new Context();
    TopkDesc d = Desc();
    var tensor = new Tensor(Dsa.I32, 2, 2);
    tensor.Dispose();
    tensor.Dispose();
    Check.Fails("the handle is closed", () => tensor.ToInts());
    Check.Fails("the Tensor is closed", () => d.Indices = tensor);
    var closed = new TopkDesc();
    closed.Dispose();
    Check.Fails("the handle is closed", () => closed.K = 1);
    Check.Fails("the TopkDesc is closed", () => ctx.Topk(closed));
    ctx.Dispose();
    ctx.Dispose();
    Check.Fails("the context is closed", () => ctx.Topk(d));
    Check.Fails("the context is closed", () => ctx.Describe());
  }

  public static void TooSmallBuffers() {
    var tensor = new Tensor(Dsa.F32, 4);
    Check.Fails("the array holds 3 elements, the tensor 4", () => tensor.Set(new float[3]));
    Check.Fails("the array holds 5 elements, the tensor 4", () => tensor.Get(new float[5]));
    Check.Fails("tensor.stride reaches bytes 0 to 20, its memory holds 16",
                () => tensor.View(new long[] {5}, new long[] {1}, 0));
    try {
      tensor.Set((float[])null);
      Check.That(false, "null was taken");
    } catch (ArgumentNullException) {
    }
  }

  public static void ForwardKeepsItsParts() {
    using (var ctx = new Context())
    using (var d = new ForwardDesc { Route = 9 }) {
      d.SetSelect(new IndexerTopkDesc());
      d.SetAttend(new SparseAttnDesc());
      GC.Collect();
      Check.Fails("forward.route is 9, must be 0 to 4", () => ctx.Forward(d));
    }
  }

  public static void UnsupportedIsSaidWithoutRunning() {
    using (var ctx = new Context())
    using (TopkDesc d = Desc()) {
      d.ForceFirst = 1;
      Check.Fails(Dsa.ERROR_UNSUPPORTED, "topk.", () => ctx.CheckSupport(d));
    }
  }
}
