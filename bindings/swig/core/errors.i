/* What the C++ side throws becomes the language's own: DSA_RAISE(status, text), which leaves the
 * wrapper. Included by each language where it has defined that. (canthrow is for C#, whose proxies
 * look for an exception only where they are told.) */

%allowexception; /* in the setters of fields, too */
%feature("except", canthrow="1") {
  try {
    $action
  } catch (const dsa_swig::Error &error) {
    DSA_RAISE(error.status, error.text.c_str());
  } catch (const std::bad_alloc &) {
    DSA_RAISE(DSA_ERROR_NO_MEMORY, "out of memory");
  }
}

/* A handle that was closed is NULL here. */
%typemap(check, canthrow=1) SWIGTYPE *self {
  if (!$1) {
    DSA_RAISE(DSA_ERROR_INVALID, "the handle is closed");
  }
}
