"""The tests. A package, so that one suite can be run on many adapters."""
