"""What runs inside a kernel: writing its state into a file, and reading it back.

The files of this folder are sent to the kernel as text, because mlops_magics need not be installed
there. They import the standard library alone until a state is written, and leave no name in the
notebook.
"""
