"""The schema's history, run by `core.schema.migrate`."""
