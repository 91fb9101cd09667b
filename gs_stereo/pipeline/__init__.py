"""The stage contract: manifests, fingerprints, resumable units, the recipe and its runner. Knows no stage by name."""
