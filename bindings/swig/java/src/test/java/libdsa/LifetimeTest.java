package libdsa;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class LifetimeTest {
  private static final int ROUNDS = 10_000;

  private static int[] createUseDestroy(boolean closed) {
    Options options = new Options();
    options.setNumThreads(1);
    Context ctx = new Context(options);
    Tensor scores = new Tensor(Dsa.F32, 64, 256);
    Tensor indices = new Tensor(Dsa.I32, 64, 2);
    TopkDesc d = new TopkDesc();
    d.setScores(scores);
    d.setK(2);
    d.setIndices(indices);
    ctx.topk(d);
    if (closed) {
      d.close();
      scores.close();
      ctx.close();
      options.close();
    }
    int[] found = indices.toInts();
    if (closed) {
      indices.close();
    }
    return found;
  }

  private static long residentKiB() throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmRSS:")) {
        return Long.parseLong(line.replaceAll("\\D", ""));
      }
    }
    throw new IOException("no VmRSS");
  }

  @Test
  void memoryStaysFlat() throws IOException {
    // What the JVM itself takes (compiler, heap) settles first.
    for (int i = 0; i < ROUNDS / 10; ++i) {
      createUseDestroy(true);
    }
    System.gc();
    long before = residentKiB();
    for (int i = 0; i < ROUNDS; ++i) {
      assertEquals(1, createUseDestroy(true)[1]);
    }
    System.gc();
    long grown = residentKiB() - before;
    // A round's tensors take 66 KiB: one in a hundred left behind were 6.6 MiB.
    assertTrue(grown < 4096, "grown by " + grown + " KiB in " + ROUNDS + " rounds");
  }

  @Test
  void whatNobodyClosesIsCollected() throws Exception {
    long before = residentKiB();
    for (int i = 0; i < 2000; ++i) {
      createUseDestroy(false);
      if (i % 100 == 99) {
        System.gc();
        Thread.sleep(5); // the cleaner's thread
      }
    }
    long grown = residentKiB() - before;
    assertTrue(grown < 2000 * 66 / 2, "grown by " + grown + " KiB, all together are 132000");
  }

  @Test
  void threadsShareAContextThatOneOfThemCloses() throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(4);
    try {
      for (int round = 0; round < 20; ++round) {
        Context ctx = new Context();
        AtomicInteger done = new AtomicInteger();
        List<Future<?>> threads = new ArrayList<>();
        for (int thread = 0; thread < 4; ++thread) {
          threads.add(pool.submit(() -> callUntilClosed(ctx, done)));
        }
        while (done.get() < 50) {
          Thread.onSpinWait();
        }
        ctx.close();
        for (Future<?> thread : threads) {
          thread.get();
        }
      }
    } finally {
      pool.shutdownNow();
    }
  }

  private static void callUntilClosed(Context ctx, AtomicInteger done) {
    try (Tensor scores = Tensor.of(new float[] {1, 9, 3, 9}, 1, 4);
        Tensor indices = new Tensor(Dsa.I32, 1, 2);
        TopkDesc d = new TopkDesc()) {
      d.setScores(scores);
      d.setK(2);
      d.setIndices(indices);
      while (true) {
        ctx.topk(d);
        assertArrayEquals(new int[] {1, 3}, indices.toInts());
        done.incrementAndGet();
      }
    } catch (DsaException error) {
      assertEquals("the context is closed", error.getMessage());
    }
  }
}
