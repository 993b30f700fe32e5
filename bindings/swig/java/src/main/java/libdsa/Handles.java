package libdsa;

import java.lang.ref.Cleaner;
import java.util.function.Consumer;
import java.util.function.LongConsumer;

/** How proxies own native memory. */
final class Handles {
  private static final Cleaner CLEANER = Cleaner.create();

  private Handles() {}

  /** Frees once: when cleaned by hand, or after the proxy was collected. */
  static Cleaner.Cleanable own(Object proxy, LongConsumer free, long address) {
    // The action must not refer to the proxy, which would then never be collected.
    return CLEANER.register(proxy, () -> free.accept(address));
  }

  static Tensor filled(Tensor tensor, Consumer<Tensor> fill) {
    try {
      fill.accept(tensor);
      return tensor;
    } catch (RuntimeException error) {
      tensor.close();
      throw error;
    }
  }
}
