"""How wrong the labels of a capture are on objects that were planted into its photos, and what can be promised of them.

What the labels are made by knows nothing of this.
"""
