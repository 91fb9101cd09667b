"""Our stereo data set: schema, writing, reading, probing, the torch reader, the card, licences."""
