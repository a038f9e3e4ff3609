"""The world that is filmed: people, what they do, where, and through which camera."""
