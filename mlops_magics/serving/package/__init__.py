"""Making a package: a folder with a model, exact requirements and the server, ready to run.

This part stays at home; a package carries the rest of `mlops_magics.serving`.
"""
