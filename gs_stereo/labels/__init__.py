"""From rendered depth and matchers to a label: occlusion, checks, confidence, and the card that explains a dataset."""
