import libdsa.Context;
import libdsa.Dsa;
import libdsa.Tensor;
import libdsa.TopkDesc;

/**
 * What a call costs from Java: topk on 1 x 128, k 8, the best of many repeats, in microseconds.
 *
 * <p>java -cp libdsa-0.1.0.jar Overhead.java prints "described ..." (a descriptor made, filled and
 * closed for each call) and "reused ..." (made once).
 */
public class Overhead {
  private static final int CALLS = 1000;
  private static final int REPEATS = 300; // the first are interpreted

  private static void measure(String what, Runnable call) {
    double best = Double.MAX_VALUE;
    for (int repeat = 0; repeat < REPEATS; ++repeat) {
      long start = System.nanoTime();
      for (int i = 0; i < CALLS; ++i) {
        call.run();
      }
      best = Math.min(best, (System.nanoTime() - start) / (1e3 * CALLS));
    }
    System.out.printf("%s %.3f%n", what, best);
  }

  private static TopkDesc describe(Tensor scores, Tensor indices) {
    TopkDesc d = new TopkDesc();
    d.setScores(scores);
    d.setK(8);
    d.setIndices(indices);
    return d;
  }

  public static void main(String[] args) {
    float[] values = new float[128];
    java.util.Random random = new java.util.Random(1);
    for (int i = 0; i < values.length; ++i) {
      values[i] = (float) random.nextGaussian();
    }
    try (Context ctx = new Context();
        Tensor scores = Tensor.of(values, 1, 128);
        Tensor indices = new Tensor(Dsa.I32, 1, 8);
        TopkDesc reused = describe(scores, indices)) {
      measure(
          "described",
          () -> {
            try (TopkDesc d = describe(scores, indices)) {
              ctx.topk(d);
            }
          });
      measure("reused", () -> ctx.topk(reused));
    }
  }
}
