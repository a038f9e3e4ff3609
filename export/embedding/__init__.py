"""Bundles for programs without Python: graphs that hold what the runtime does around them, and a C header."""
