add_language(csharp -namespace Libdsa -dllimport dsa_csharp)
