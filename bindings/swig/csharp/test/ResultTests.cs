using System;
using Libdsa;

internal static class ResultTests {
  private static readonly float[] Scores = {1, 9, 3, 9, -2, -1, -4, -3};

  public static void Topk() {
    using (var ctx = new Context())
    using (var scores = Tensor.Of(Scores, 2, 4))
    using (var indices = new Tensor(Dsa.I32, 2, 2))
    using (var values = new Tensor(Dsa.F32, 2, 2))
    using (var d = new TopkDesc { Scores = scores, K = 2, Indices = indices, Values = values }) {
      ctx.Topk(d);
      Check.Same(indices.ToInts(), 1, 3, 0, 1);
      Check.Near(values.ToFloats(), 9, 9, -2, -1);
      scores.Set(new float[] {5, 4, 3, 2, 1, 2, 3, 4});
      ctx.Topk(d);
      Check.Same(indices.ToInts(), 0, 1, 2, 3);
    }
  }

  public static void TransposedView() {
    using (var ctx = new Context())
    using (var d = new TopkDesc { K = 1, Indices = new Tensor(Dsa.I32, 4, 1) }) {
      Check.That(d.Scores == null, "a field is given from the start");
      d.Scores = Tensor.Of(Scores, 2, 4).View(new long[] {4, 2}, new long[] {1, 4}, 0);
      ctx.Topk(d);
      Check.Same(d.Indices.ToInts(), 0, 0, 0, 0);
      Check.That(d.Scores.Extent(0) == 4 && d.Scores.Step(1) == 4, "the view reads back");
      d.Scores = null;
      Check.That(d.Scores == null, "null takes a field away");
    }
  }

  public static void HalfPrecisionAsBits() {
    using (var ctx = new Context())
    using (var scores = new Tensor(Dsa.BF16, 1, 4))
    using (var values = new Tensor(Dsa.BF16, 1, 2))
    using (var d = new TopkDesc { Scores = scores, K = 2, Order = Dsa.ORDER_SCORE,
                                  Values = values }) {
      scores.Set(new short[] {0x3f80, 0x4000, unchecked((short)0xbf80), 0x4040});  // 1 2 -1 3
      ctx.Topk(d);
      var found = new short[2];
      values.Get(found);
      Check.That(found[0] == 0x4040 && found[1] == 0x4000, "the two largest");
    }
  }

  public static void OneLayer() {
    // Keys 0 .. 3 score 1, 4, 2, 3; the causal row at position 2 sees the first three.
    using (var ctx = new Context())
    using (var indices = new Tensor(Dsa.I32, 1, 2))
    using (var result = new Tensor(Dsa.F32, 1, 1, 2))
    using (var lse = new Tensor(Dsa.F32, 1, 1))
    using (var select = new IndexerTopkDesc {
        Q = Tensor.Of(new float[] {1, 0}, 1, 1, 2),
        Keys = Tensor.Of(new float[] {1, 7, 4, 7, 2, 7, 3, 7}, 4, 2), Flags = Dsa.CAUSAL,
        Offset = 2, K = 2, Indices = indices })
    using (var attend = new SparseAttnDesc {
        Q = Tensor.Of(new float[] {(float)Math.Log(3), 0}, 1, 1, 2),
        Kv = Tensor.Of(new float[] {9, 9, 0, 4, 1, 8, 9, 9}, 4, 2), Indices = indices, K = 2,
        Scale = 1, Out = result, Lse = lse }) {
      ctx.IndexerTopk(select);
      Check.Same(indices.ToInts(), 1, 2);
      ctx.SparseAttn(attend);
      Check.Near(result.ToFloats(), 0.75, 7);
      Check.Near(lse.ToFloats(), Math.Log(4));
    }
  }

  public static void MergedHalves() {
    using (var ctx = new Context())
    using (var result = new Tensor(Dsa.F32, 1, 1, 2))
    using (var merge = new MergeLseDesc {
        PartialOut = Tensor.Of(new float[] {4, 0, 1, 3}, 2, 1, 1, 2),
        PartialLse = Tensor.Of(new float[] {0, (float)Math.Log(2)}, 2, 1, 1),  // weights 1 and 2
        Out = result }) {
      ctx.MergeLse(merge);
      Check.Near(result.ToFloats(), 2, 2);
    }
  }

  public static void PlansAndKernels() {
    using (var ctx = new Context())
    using (var d = new TopkDesc { Scores = Tensor.Of(Scores, 2, 4), K = 2,
                                  Indices = new Tensor(Dsa.I32, 2, 2) })
    using (var exec = new Exec()) {
      ctx.CheckSupport(d);
      using (Plan plan = ctx.Plan(d)) {
        Check.That(plan.Kernel().StartsWith("cpu.topk."), plan.Kernel());
        exec.SetPlan(plan);
      }
      exec.SetWorkspace(new Tensor(Dsa.U8, Math.Max(1, ctx.WorkspaceSize(d))));
      ctx.Topk(d, exec);  // the plan lives on in it
      Check.Same(d.Indices.ToInts(), 1, 3, 0, 1);
      bool found = false;
      for (int i = 0; i < ctx.KernelCount(); ++i) {
        using (Kernel kernel = ctx.Kernel(i)) found |= kernel.Name == "cpu.topk.scalar";
      }
      Check.That(found, "no cpu.topk.scalar");
      Check.That(ctx.Describe().Contains("\"kernels\""), ctx.Describe());
    }
    Check.That(Dsa.StatusName(Dsa.ERROR_INVALID) == "DSA_ERROR_INVALID", "a status has its name");
    Check.That(Dsa.AbiVersion() == Dsa.ABI_VERSION, "another ABI");
  }
}
