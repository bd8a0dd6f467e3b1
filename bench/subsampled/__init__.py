"""Small tables taken from released sweeps, and what the whole sweeps say of them."""
