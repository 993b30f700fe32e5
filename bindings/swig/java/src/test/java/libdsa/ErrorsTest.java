package libdsa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** What is wrong is an exception with a text that names it; nothing crashes. */
class ErrorsTest {
  private Context ctx;
  private TopkDesc d;

  @BeforeEach
  void open() {
    ctx = new Context();
    d = new TopkDesc();
    d.setScores(Tensor.of(new float[8], 2, 4));
    d.setK(2);
    d.setIndices(new Tensor(Dsa.I32, 2, 2));
  }

  @AfterEach
  void close() {
    d.close();
    ctx.close();
  }

  private static void fails(String text, Executable call) {
    DsaException error = assertThrows(DsaException.class, call);
    assertEquals(text, error.getMessage());
    assertEquals(Dsa.ERROR_INVALID, error.status());
  }

  @Test
  void wrongShape() {
    d.setIndices(new Tensor(Dsa.I32, 2, 1));
    fails("topk.indices.shape[1] is 1, k is 2", () -> ctx.topk(d));
    d.setIndices(new Tensor(Dsa.I32, 3, 2));
    DsaException error = assertThrows(DsaException.class, () -> ctx.topk(d));
    assertEquals(true, error.getMessage().startsWith("topk.indices"), error.getMessage());
    fails("tensor.shape has 6 axes, must have 1 to 5", () -> new Tensor(Dsa.F32, 1, 1, 1, 1, 1, 1));
    fails("tensor.shape has 0 axes, must have 1 to 5", () -> new Tensor(Dsa.F32));
    fails("tensor.shape[1] is -1, must be 0 to 2^40", () -> new Tensor(Dsa.F32, 2, -1));
  }

  @Test
  void wrongDtype() {
    d.setIndices(new Tensor(Dsa.F32, 2, 2));
    fails("topk.indices.dtype is 1 (f32), which this field does not take", () -> ctx.topk(d));
    fails("tensor.dtype is 99, which has no elements of whole bytes", () -> new Tensor(99, 2));
    Tensor scores = new Tensor(Dsa.BF16, 4);
    fails(
        "tensor.dtype is 3, whose elements are 16-bit, not float", () -> scores.set(new float[4]));
  }

  @Test
  void missingFields() {
    d.setK(0);
    DsaException error = assertThrows(DsaException.class, () -> ctx.topk(d));
    assertEquals(true, error.getMessage().startsWith("topk.k is 0"), error.getMessage());
    assertThrows(DsaException.class, () -> ctx.topk(null));
    try (TopkDesc empty = new TopkDesc()) {
      assertThrows(DsaException.class, () -> ctx.topk(empty));
    }
    assertThrows(NullPointerException.class, () -> new Context(null));
  }

  @Test
  void closedHandles() {
    Tensor tensor = new Tensor(Dsa.I32, 2, 2);
    tensor.close();
    tensor.close();
    fails("the handle is closed", tensor::toInts);
    fails("the Tensor is closed", () -> d.setIndices(tensor));
    TopkDesc closed = new TopkDesc();
    closed.close();
    fails("the handle is closed", () -> closed.setK(1));
    fails("the handle is closed", closed::getScores);
    fails("the TopkDesc is closed", () -> ctx.topk(closed));
    ctx.close();
    ctx.close();
    fails("the context is closed", () -> ctx.topk(d));
    fails("the context is closed", ctx::describe);
    fails("the context is closed", () -> ctx.plan(d));
  }

  @Test
  void tooSmallBuffers() {
    ByteBuffer small = ByteBuffer.allocateDirect(12).order(ByteOrder.nativeOrder());
    fails(
        "tensor.data holds 12 bytes, its shape and dtype take 32",
        () -> Tensor.of(small, Dsa.F32, 2, 4));
    Tensor tensor = new Tensor(Dsa.F32, 4);
    fails("the array holds 3 elements, the tensor 4", () -> tensor.set(new float[3]));
    fails("the array holds 5 elements, the tensor 4", () -> tensor.get(new float[5]));
    fails("the array is null", () -> tensor.set((float[]) null));
    fails(
        "tensor.stride reaches bytes 0 to 20, its memory holds 16",
        () -> tensor.view(new long[] {5}, new long[] {1}, 0));
    fails(
        "tensor.stride reaches bytes -4 to 4, its memory holds 16",
        () -> tensor.view(new long[] {2}, new long[] {1}, -1));
  }

  @Test
  void buffersThatCannotBeUsed() {
    ByteBuffer heap = ByteBuffer.allocate(16).order(ByteOrder.nativeOrder());
    fails(
        "tensor.data must lie in a direct buffer; this one is on the Java heap",
        () -> Tensor.of(heap, Dsa.F32, 4));
    ByteBuffer direct = ByteBuffer.allocateDirect(16);
    fails(
        "the buffer's order is BIG_ENDIAN, tensors are LITTLE_ENDIAN",
        () -> Tensor.of(direct, Dsa.F32, 4));
    ByteBuffer readOnly = direct.asReadOnlyBuffer().order(ByteOrder.nativeOrder());
    fails(
        "the buffer is read-only; map files PRIVATE", () -> Tensor.of(readOnly, Dsa.F32, 4));
  }

  @Test
  void forwardKeepsItsParts() {
    try (ForwardDesc f = new ForwardDesc();
        IndexerTopkDesc select = new IndexerTopkDesc();
        SparseAttnDesc attend = new SparseAttnDesc()) {
      f.setSelect(select);
      f.setAttend(attend);
      select.close();
      f.setRoute(9);
      fails("forward.route is 9, must be 0 to 4", () -> ctx.forward(f));
    }
  }

  @Test
  void unsupportedIsSaidWithoutRunning() {
    d.setForceFirst(1);
    DsaException error = assertThrows(DsaException.class, () -> ctx.checkSupport(d));
    assertEquals(Dsa.ERROR_UNSUPPORTED, error.status());
  }
}
