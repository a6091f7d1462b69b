"""The model server: base models with their adapters, behind an OpenAI-shaped HTTP interface on a unix socket."""
