using System;
using System.Reflection;

/// <summary>Runs every public static method of the test classes.</summary>
internal static class Program {
  private static int Main() {
    int passed = 0, failed = 0;
    foreach (Type type in new[] {typeof(ResultTests), typeof(ErrorTests), typeof(LifetimeTests)}) {
      foreach (MethodInfo test in type.GetMethods(BindingFlags.Public | BindingFlags.Static)) {
        try {
          test.Invoke(null, null);
          ++passed;
        } catch (TargetInvocationException error) {
          ++failed;
          Console.WriteLine("{0}.{1}: {2}", type.Name, test.Name, error.InnerException);
        }
      }
    }
    Console.WriteLine("{0} passed, {1} failed", passed, failed);
    return failed == 0 && passed > 0 ? 0 : 1;
  }
}
