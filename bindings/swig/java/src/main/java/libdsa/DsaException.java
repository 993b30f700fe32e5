package libdsa;

/** A status of the library other than DSA_OK, with its text. */
public class DsaException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final int status;

  public DsaException(int status, String text) {
    super(text);
    this.status = status;
  }

  /** One of {@code Dsa.ERROR_INVALID} and so on. */
  public int status() {
    return status;
  }
}
