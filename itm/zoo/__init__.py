"""Models: names, construction, weights, preprocessing and size.

`resolve` turns names and wildcards into a list of `ModelRef`. `load` turns a `ModelRef` into a module with weights. `facts`
returns its preprocessing and size. This package imports none of them, because `import itm.zoo` must be fast.
"""
