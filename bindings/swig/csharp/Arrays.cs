namespace Libdsa {

/// <summary>What the generated proxies need of arrays.</summary>
internal static class Arrays {
  /// <summary>The array's length in front of it: the wrapper cannot ask.</summary>
  internal static long[] Counted(long[] axes) {
    var counted = new long[1 + (axes == null ? 0 : axes.Length)];
    counted[0] = counted.Length - 1;
    if (axes != null) axes.CopyTo(counted, 1);
    return counted;
  }

  internal static long Length(System.Array values) {
    if (values == null) throw new System.ArgumentNullException("values");
    return values.LongLength;
  }

  internal static Tensor Filled(Tensor tensor, System.Action<Tensor> fill) {
    try {
      fill(tensor);
      return tensor;
    } catch {
      tensor.Dispose();
      throw;
    }
  }
}

}
