"""A sealed folder: a manifest beside a checkpoint of arrays."""
