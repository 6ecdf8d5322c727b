"""A package as an OCI image: written here, layer by layer, with a container engine or without.

The layers, the configuration and the manifest are always written by this package, so that the same
model gives the same digest wherever it is built. An engine, where there is one, lends its copy of
the base image, takes the result and runs the test.
"""
