"""Motions of robots: who shows them, in which words, and the latent space that intents live in."""
