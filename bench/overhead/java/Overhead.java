import libdsa.Context;
import libdsa.Dsa;
import libdsa.Tensor;
import libdsa.TopkDesc;

/**
 * What a call costs from Java: topk on 1 x 128, k 8, the best of many repeats, in microseconds.
 *
 * <p>java -cp libdsa-0.1.0.jar Overhead.java prints one number.
 */
public class Overhead {
  private static final int CALLS = 1000;
  private static final int REPEATS = 300; // the first are interpreted

  public static void main(String[] args) {
    float[] values = new float[128];
    java.util.Random random = new java.util.Random(1);
    for (int i = 0; i < values.length; ++i) {
      values[i] = (float) random.nextGaussian();
    }
    try (Context ctx = new Context();
        Tensor scores = Tensor.of(values, 1, 128);
        Tensor indices = new Tensor(Dsa.I32, 1, 8);
        TopkDesc d = new TopkDesc()) {
      d.setScores(scores);
      d.setK(8);
      d.setIndices(indices);
      double best = Double.MAX_VALUE;
      for (int repeat = 0; repeat < REPEATS; ++repeat) {
        long start = System.nanoTime();
        for (int call = 0; call < CALLS; ++call) {
          ctx.topk(d);
        }
        best = Math.min(best, (System.nanoTime() - start) / (1e3 * CALLS));
      }
      System.out.printf("%.3f%n", best);
    }
  }
}
