"""Data sets: from a source such as `folder:petals` to an index of checked images, each with a target and a split."""
