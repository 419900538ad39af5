"""ITM with its divide-and-conquer variational approximation (DVA), and its control."""
