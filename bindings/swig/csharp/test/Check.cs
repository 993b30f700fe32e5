using System;
using Libdsa;

/// <summary>What a test expects.</summary>
internal static class Check {
  internal static void That(bool holds, string what) {
    if (!holds) throw new Exception(what);
  }

  internal static void Same(int[] found, params int[] want) {
    That(string.Join(" ", found) == string.Join(" ", want), "found " + string.Join(" ", found));
  }

  internal static void Near(float[] found, params double[] want) {
    That(found.Length == want.Length, "found " + found.Length + " values");
    for (int i = 0; i < want.Length; ++i) {
      That(Math.Abs(found[i] - want[i]) < 1e-5, "value " + i + " is " + found[i]);
    }
  }

  internal static void Fails(string text, Action call) {
    Fails(Dsa.ERROR_INVALID, text, call);
  }

  internal static void Fails(int status, string text, Action call) {
    try {
      call();
    } catch (DsaException error) {
      That(error.Message.StartsWith(text), "the error is: " + error.Message);
      That(error.Status == status, "the status is " + error.Status);
      return;
    }
    throw new Exception("no error, want: " + text);
  }
}
