package libdsa;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import org.junit.jupiter.api.Test;

class TopkTest {
  private static final float[] SCORES = {1, 9, 3, 9, -2, -1, -4, -3};

  private static ByteBuffer direct(int bytes) {
    return ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
  }

  @Test
  void arrays() {
    try (Context ctx = new Context();
        Tensor scores = Tensor.of(SCORES, 2, 4);
        Tensor indices = new Tensor(Dsa.I32, 2, 2);
        Tensor values = new Tensor(Dsa.F32, 2, 2);
        Tensor counts = new Tensor(Dsa.I32, 2);
        TopkDesc d = new TopkDesc()) {
      d.setScores(scores);
      d.setK(2);
      d.setIndices(indices);
      d.setValues(values);
      d.setCounts(counts);
      ctx.topk(d);
      assertArrayEquals(new int[] {1, 3, 0, 1}, indices.toInts());
      assertArrayEquals(new float[] {9, 9, -2, -1}, values.toFloats());
      assertArrayEquals(new int[] {2, 2}, counts.toInts());

      scores.set(new float[] {5, 4, 3, 2, 1, 2, 3, 4});
      ctx.topk(d);
      assertArrayEquals(new int[] {0, 1, 2, 3}, indices.toInts());
    }
  }

  @Test
  void directBuffersAreReadAndWrittenInPlace() {
    FloatBuffer scores = direct(4 * 9).asFloatBuffer();
    scores.put(0).put(SCORES).position(1); // the tensor starts at the position
    IntBuffer indices = direct(16).asIntBuffer();
    try (Context ctx = new Context();
        TopkDesc d = new TopkDesc()) {
      d.setScores(Tensor.of(scores, 2, 4));
      d.setK(2);
      d.setIndices(Tensor.of(indices, 2, 2));
      ctx.topk(d);
      int[] found = new int[4];
      indices.get(found);
      assertArrayEquals(new int[] {1, 3, 0, 1}, found);
    }
  }

  @Test
  void descriptorsKeepTheirBuffers() {
    try (Context ctx = new Context();
        Tensor indices = new Tensor(Dsa.I32, 1, 1);
        TopkDesc d = new TopkDesc()) {
      ByteBuffer scores = direct(1 << 20);
      scores.putFloat(4 * 777, 1);
      d.setScores(Tensor.of(scores, Dsa.F32, 1, 1 << 18));
      d.setK(1);
      d.setIndices(indices);
      scores = null;
      for (int i = 0; i < 20; ++i) {
        System.gc(); // would give the buffer's memory back, to be used by the next
        direct(1 << 20).putFloat(4 * i, 2);
      }
      ctx.topk(d);
      assertArrayEquals(new int[] {777}, indices.toInts());
    }
  }

  @Test
  void halfPrecisionPassesAsBits() {
    short[] bf16 = {0x3f80, 0x4000, (short) 0xbf80, 0x4040}; // 1 2 -1 3
    try (Context ctx = new Context();
        Tensor scores = new Tensor(Dsa.BF16, 1, 4);
        Tensor values = new Tensor(Dsa.BF16, 1, 2);
        TopkDesc d = new TopkDesc()) {
      scores.set(bf16);
      d.setScores(scores);
      d.setK(2);
      d.setOrder(Dsa.ORDER_SCORE);
      d.setValues(values);
      ctx.topk(d);
      short[] found = new short[2];
      values.get(found);
      assertArrayEquals(new short[] {0x4040, 0x4000}, found);
    }
  }

  @Test
  void viewsAndFieldsReadBack() {
    try (Context ctx = new Context();
        Tensor table = Tensor.of(SCORES, 2, 4);
        Tensor columns = table.view(new long[] {4, 2}, new long[] {1, 4}, 0); // transposed
        Tensor indices = new Tensor(Dsa.I32, 4, 1);
        TopkDesc d = new TopkDesc()) {
      assertNull(d.getScores());
      d.setScores(columns);
      d.setK(1);
      d.setIndices(indices);
      ctx.topk(d);
      assertArrayEquals(new int[] {0, 0, 0, 0}, indices.toInts());
      try (Tensor back = d.getScores()) {
        assertEquals(2, back.getNdim());
        assertEquals(Dsa.F32, back.getDtype());
        assertEquals(4, back.extent(0));
        assertEquals(4, back.step(1));
      }
      d.setScores(null);
      assertNull(d.getScores());
    }
  }

  @Test
  void plansWorkspacesAndKernels() {
    try (Context ctx = new Context();
        Tensor scores = Tensor.of(SCORES, 2, 4);
        Tensor indices = new Tensor(Dsa.I32, 2, 2);
        TopkDesc d = new TopkDesc();
        Exec exec = new Exec()) {
      d.setScores(scores);
      d.setK(2);
      d.setIndices(indices);
      ctx.checkSupport(d);
      try (Plan plan = ctx.plan(d);
          Tensor workspace = new Tensor(Dsa.U8, Math.max(1, ctx.workspaceSize(d)))) {
        assertTrue(plan.kernel().startsWith("cpu.topk."), plan.kernel());
        exec.setPlan(plan);
        exec.setWorkspace(workspace);
      }
      ctx.topk(d, exec); // both live on in it
      assertArrayEquals(new int[] {1, 3, 0, 1}, indices.toInts());
      assertTrue(ctx.describe().contains("\"kernels\""), ctx.describe());
      boolean found = false;
      for (int i = 0; i < ctx.kernelCount(); ++i) {
        try (Kernel kernel = ctx.kernel(i)) {
          found |= kernel.getName().equals("cpu.topk.scalar") && kernel.getUsable() == 1;
        }
      }
      assertTrue(found);
    }
    assertEquals("DSA_ERROR_INVALID", Dsa.statusName(Dsa.ERROR_INVALID));
    assertEquals(Dsa.ABI_VERSION, Dsa.abiVersion());
    String version = Dsa.VERSION_MAJOR + "." + Dsa.VERSION_MINOR + "." + Dsa.VERSION_PATCH;
    assertEquals(version, System.getProperty("libdsa.version"), "the jar's, in pom.xml");
  }
}
