"""Files of the store: layout, atomic writes, cached records, feature files, and sharing between machines."""
