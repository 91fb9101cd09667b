"""Judges of generated second eyes: geometry without any weights, and learned measures from the user's checkpoints."""
