"""Which models there are, how they are built, and what is known of them without data.

`resolve` turns names and wildcards into `ModelRef`s, `load` turns a `ModelRef` into a module with its weights, `facts` says
how it wants its images and how large it is. This package imports none of them, so that `import itm.zoo` costs nothing.
"""
