"""The distributed service as plain processes of one machine."""
