"""Objects (files, rollouts, checkpoints) and manifests over them."""
