package libdsa;

import java.nio.Buffer;
import java.nio.ByteOrder;

/** Tensors in NIO buffers. */
final class Buffers {
  private Buffers() {}

  static Tensor tensor(Buffer buffer, ByteOrder order, long elementBytes, int dtype, long... shape) {
    if (order != ByteOrder.nativeOrder()) {
      throw new DsaException(
          Dsa.ERROR_INVALID,
          "the buffer's order is " + order + ", tensors are " + ByteOrder.nativeOrder());
    }
    if (buffer.isReadOnly()) {
      // An output there would fault: a mapped file has no writable page behind it.
      throw new DsaException(Dsa.ERROR_INVALID, "the buffer is read-only; map files PRIVATE");
    }
    return Tensor.in(
        buffer, buffer.position() * elementBytes, buffer.remaining() * elementBytes, dtype, shape);
  }
}
