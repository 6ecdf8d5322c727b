"""The prediction server: protocol, runtime and capture.

``python -m mlops_magics.serving FOLDER`` serves a package. A package carries a copy of this
room, so nothing here may import more of the project than errors, plugins and flavors, and
nothing on the way to an answer imports MLflow.
"""
