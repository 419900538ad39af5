"""Files of the store: layout, atomic writes, cached records, feature files, and their exchange between machines."""
