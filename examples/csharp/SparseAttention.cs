using System;
using Libdsa;

/// <summary>
/// Selects the 2 best of 4 keys and attends to them alone. Prints "keys 1 3, out 0.75 7.00".
/// </summary>
public static class SparseAttention {
  public static int Main() {
    float[] cache = {9, 9, 0, 4, 9, 9, 1, 8};  // 4 keys of 2; values are the same rows
    using (var ctx = new Context())
    using (var scores = Tensor.Of(new float[] {2, 5, 1, 3}, 1, 4))
    using (var q = Tensor.Of(new float[] {(float)Math.Log(3), 0}, 1, 1, 2))
    using (var kv = Tensor.Of(cache, 4, 2))
    using (var indices = new Tensor(Dsa.I32, 1, 2))
    using (var result = new Tensor(Dsa.F32, 1, 1, 2))
    using (var select = new TopkDesc { Scores = scores, K = 2, Indices = indices })
    using (var attend = new SparseAttnDesc { Q = q, Kv = kv, Indices = indices, K = 2, Scale = 1,
                                             Out = result }) {
      ctx.Topk(select);
      ctx.SparseAttn(attend);

      // Logits 0 and log 3 are weights 1/4 and 3/4 of rows (0, 4) and (1, 8).
      int[] keys = indices.ToInts();
      float[] row = result.ToFloats();
      Console.WriteLine("keys {0} {1}, out {2:F2} {3:F2}", keys[0], keys[1], row[0], row[1]);
      bool right = keys[0] == 1 && keys[1] == 3 && Math.Abs(row[0] - 0.75) < 1e-6 &&
                   Math.Abs(row[1] - 7) < 1e-6;
      return right ? 0 : 1;
    }
  }
}
