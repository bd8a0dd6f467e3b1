"""The floor: errors, units, files; what every room uses."""
