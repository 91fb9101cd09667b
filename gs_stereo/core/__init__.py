"""What every floor needs and no domain owns: disk manners, hashes, memory, child processes, records."""
