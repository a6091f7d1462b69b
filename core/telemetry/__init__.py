"""What operators see of the service: metrics, logs, traces, signs of life. Nothing in here is ever in the way of the work."""
