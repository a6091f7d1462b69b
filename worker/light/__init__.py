"""Light work: what a worker does beside its job."""
