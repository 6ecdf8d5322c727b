"""The ways in: notebook magics, the command line, and how records are shown.

A door parses and shows; it never computes.
"""
