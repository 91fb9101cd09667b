"""Virtual objects of known shape before a real place: in the photos of a capture, or in rendered pairs.

The plan says where objects stand, `photo` draws them into images, `truth` says what a pair should show of them, `pairs`
does all of that for one rendered pair.
"""
