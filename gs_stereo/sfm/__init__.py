"""Structure from motion: photos, or cameras that the user brings, to a sparse scene with undistorted images."""
