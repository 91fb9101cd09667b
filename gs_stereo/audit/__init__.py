"""Truth planted into a capture: virtual objects of known shape in its own photos, and how wrong their labels are.

The plan says where objects stand, `planting` draws them into photos, `truth` says what a pair should show of them, and
`scores` compares labels with it. What the labels are made by knows nothing of this.
"""
