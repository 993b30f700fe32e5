namespace Libdsa {

/// <summary>A status of the library other than DSA_OK, with its text.</summary>
public class DsaException : System.Exception {
  public DsaException(int status, string text) : base(text) { Status = status; }

  /// <summary>One of Dsa.ERROR_INVALID and so on.</summary>
  public int Status { get; private set; }
}

}
