"""A cluster: manifests of its own kinds, and its own client that applies them."""
