"""Textures: paints (procedural pictures) and the two ways to store them, an atlas of charts and a bank of tiles."""
