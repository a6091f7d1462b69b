"""A job's life: states, stores, leases, the runner's journal, hyperparameters."""
