import java.util.Arrays;
import libdsa.Context;
import libdsa.Dsa;
import libdsa.SparseAttnDesc;
import libdsa.Tensor;
import libdsa.TopkDesc;

/**
 * Selects the 2 best of 4 keys and attends to them alone.
 *
 * <p>java -cp libdsa-0.1.0.jar SparseAttention.java prints "keys [1, 3], out [0.75, 7.0]".
 */
public class SparseAttention {
  public static void main(String[] args) {
    float[] cache = {9, 9, 0, 4, 9, 9, 1, 8}; // 4 keys of 2; values are the same rows
    try (Context ctx = new Context();
        Tensor scores = Tensor.of(new float[] {2, 5, 1, 3}, 1, 4);
        Tensor q = Tensor.of(new float[] {(float) Math.log(3), 0}, 1, 1, 2);
        Tensor kv = Tensor.of(cache, 4, 2);
        Tensor indices = new Tensor(Dsa.I32, 1, 2);
        Tensor out = new Tensor(Dsa.F32, 1, 1, 2);
        TopkDesc select = new TopkDesc();
        SparseAttnDesc attend = new SparseAttnDesc()) {
      select.setScores(scores);
      select.setK(2);
      select.setIndices(indices);
      ctx.topk(select);

      attend.setQ(q);
      attend.setKv(kv);
      attend.setIndices(indices);
      attend.setK(2);
      attend.setScale(1);
      attend.setOut(out);
      ctx.sparseAttn(attend);

      // Logits 0 and log 3 are weights 1/4 and 3/4 of rows (0, 4) and (1, 8).
      int[] keys = indices.toInts();
      float[] result = out.toFloats();
      System.out.println("keys " + Arrays.toString(keys) + ", out " + Arrays.toString(result));
      boolean right =
          Arrays.equals(keys, new int[] {1, 3})
              && Math.abs(result[0] - 0.75) < 1e-6
              && Math.abs(result[1] - 7) < 1e-6;
      System.exit(right ? 0 : 1);
    }
  }
}
