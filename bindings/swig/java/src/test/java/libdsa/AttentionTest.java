package libdsa;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Indexer, selection and attention of one layer against loops in double. */
class AttentionTest {
  private static final int T = 3, S = 50, INDEX_HEADS = 4, INDEX_DIM = 16;
  private static final int HEADS = 2, DIM = 24, VALUE_DIM = 16, K = 7;
  private static final double SCALE = 0.3;

  private final Random random = new Random(7);

  private float[] numbers(int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; ++i) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  private static double dot(float[] a, int i, float[] b, int j, int count) {
    double sum = 0;
    for (int d = 0; d < count; ++d) {
      sum += (double) a[i + d] * b[j + d];
    }
    return sum;
  }

  private static int[] select(float[] q, float[] keys, float[] w, int t, int visible) {
    double[] scores = new double[visible];
    for (int s = 0; s < visible; ++s) {
      for (int h = 0; h < INDEX_HEADS; ++h) {
        double product =
            dot(q, (t * INDEX_HEADS + h) * INDEX_DIM, keys, s * INDEX_DIM, INDEX_DIM);
        scores[s] += w[t * INDEX_HEADS + h] * Math.max(0, product);
      }
    }
    return IntStream.range(0, visible)
        .boxed()
        .sorted((a, b) -> Double.compare(scores[b], scores[a]))
        .limit(K)
        .mapToInt(Integer::intValue)
        .sorted()
        .toArray();
  }

  private static double attend(float[] q, float[] kv, int[] keys, int row, double[] out) {
    double sum = 0;
    for (int s : keys) {
      double p = Math.exp(SCALE * dot(q, row * DIM, kv, s * DIM, DIM));
      sum += p;
      for (int d = 0; d < VALUE_DIM; ++d) {
        out[d] += p * kv[s * DIM + d];
      }
    }
    for (int d = 0; d < VALUE_DIM; ++d) {
      out[d] /= sum;
    }
    return Math.log(sum);
  }

  @Test
  void oneLayer() {
    float[] iq = numbers(T * INDEX_HEADS * INDEX_DIM), keys = numbers(S * INDEX_DIM);
    float[] w = numbers(T * INDEX_HEADS), q = numbers(T * HEADS * DIM), kv = numbers(S * DIM);
    try (Context ctx = new Context();
        Tensor indices = new Tensor(Dsa.I32, T, K);
        Tensor out = new Tensor(Dsa.F32, T, HEADS, VALUE_DIM);
        Tensor lse = new Tensor(Dsa.F32, T, HEADS);
        IndexerTopkDesc s = new IndexerTopkDesc();
        SparseAttnDesc a = new SparseAttnDesc()) {
      s.setQ(Tensor.of(iq, T, INDEX_HEADS, INDEX_DIM));
      s.setKeys(Tensor.of(keys, S, INDEX_DIM));
      s.setW(Tensor.of(w, T, INDEX_HEADS));
      s.setFlags(Dsa.CAUSAL);
      s.setOffset(S - T);
      s.setK(K);
      s.setIndices(indices);
      ctx.indexerTopk(s);

      a.setQ(Tensor.of(q, T, HEADS, DIM));
      a.setKv(Tensor.of(kv, S, DIM));
      a.setIndices(indices);
      a.setK(K);
      a.setScale((float) SCALE);
      a.setOut(out);
      a.setLse(lse);
      ctx.sparseAttn(a);

      for (int t = 0; t < T; ++t) {
        int[] want = select(iq, keys, w, t, S - T + t + 1);
        assertArrayEquals(want, Arrays.copyOfRange(indices.toInts(), t * K, (t + 1) * K));
        for (int h = 0; h < HEADS; ++h) {
          int row = t * HEADS + h;
          double[] expected = new double[VALUE_DIM];
          assertEquals(attend(q, kv, want, row, expected), lse.toFloats()[row], 1e-5);
          for (int d = 0; d < VALUE_DIM; ++d) {
            assertEquals(expected[d], out.toFloats()[row * VALUE_DIM + d], 1e-5);
          }
        }
      }
    }
  }

  @Test
  void mergedHalvesAreTheWhole() {
    float log2 = (float) Math.log(2);
    try (Context ctx = new Context();
        Tensor out = new Tensor(Dsa.F32, 1, 1, 2);
        Tensor lse = new Tensor(Dsa.F32, 1, 1);
        MergeLseDesc m = new MergeLseDesc()) {
      m.setPartialOut(Tensor.of(new float[] {4, 0, 1, 3}, 2, 1, 1, 2));
      m.setPartialLse(Tensor.of(new float[] {0, log2}, 2, 1, 1)); // weights 1 and 2
      m.setOut(out);
      m.setLse(lse);
      ctx.mergeLse(m);
      assertArrayEquals(new float[] {2, 2}, out.toFloats(), 1e-6f);
      assertEquals(Math.log(3), lse.toFloats()[0], 1e-6);
    }
  }
}
