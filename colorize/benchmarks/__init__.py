"""How fast we are: our ways beside others' in one run, against the machine's limits."""
