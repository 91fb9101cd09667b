"""The two light models: baked light of rooms, and one shadowed lamp with light from above and below."""
