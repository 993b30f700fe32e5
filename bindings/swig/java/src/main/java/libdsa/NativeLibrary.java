package libdsa;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Loads the native code: from the folder that the system property {@code libdsa.native} names, else
 * from this jar, else from {@code java.library.path}.
 */
final class NativeLibrary {
  private static final String WRAPPER = "libdsa_java.so";
  private static final String LIBRARY = "libdsa.so." + Dsa.ABI_VERSION;

  private NativeLibrary() {}

  static void load() {
    String folder = System.getProperty("libdsa.native");
    if (folder != null) {
      System.load(Path.of(folder, WRAPPER).toAbsolutePath().toString());
    } else if (NativeLibrary.class.getResource("native/" + WRAPPER) != null) {
      loadFromJar();
    } else {
      System.loadLibrary("dsa_java");
    }
  }

  /** The wrapper finds the library beside itself; both are mapped once it is loaded. */
  private static void loadFromJar() {
    try {
      Path folder = Files.createTempDirectory("libdsa");
      try {
        copy(LIBRARY, folder);
        System.load(copy(WRAPPER, folder).toString());
      } finally {
        Files.deleteIfExists(folder.resolve(WRAPPER));
        Files.deleteIfExists(folder.resolve(LIBRARY));
        Files.delete(folder);
      }
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  private static Path copy(String name, Path folder) throws IOException {
    Path file = folder.resolve(name);
    try (InputStream in = NativeLibrary.class.getResourceAsStream("native/" + name)) {
      if (in == null) {
        throw new UnsatisfiedLinkError("the jar has no native/" + name);
      }
      Files.copy(in, file);
    }
    return file;
  }
}
