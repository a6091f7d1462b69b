"""The policy: its weights, its update, its checkpoints."""
