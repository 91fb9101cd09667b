"""Rasterizers behind one protocol: our CPU engine, and gsplat on CUDA."""
