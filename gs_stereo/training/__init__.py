"""Training any net: state, record, schedule, processes, card."""
