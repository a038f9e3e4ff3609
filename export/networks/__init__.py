"""Networks that learn here: what sees, what understands, what acts, and how each is trained."""
