"""The proof: what rmedge costs on a machine, and what it can do."""
