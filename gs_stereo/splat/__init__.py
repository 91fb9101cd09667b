"""Fitting a scene with 3D Gaussians and rendering it. `from gs_stereo.splat import fit_gaussians` works alone."""
