"""Training any net: loop, settings, state, record, schedule, processes, card. Stereo nets: `stereo/`."""
