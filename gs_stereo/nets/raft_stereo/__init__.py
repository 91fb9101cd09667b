"""RAFT-Stereo (Lipson, Teed and Deng, 3DV 2021), written from the paper; published weights fit it."""
