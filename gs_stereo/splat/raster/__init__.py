"""Rasterizers behind one protocol: our CPU engine, gsplat on CUDA, and a slow float64 twin for tests."""
