"""Where the runs say nothing more: levels, sides, sizes, unstable rates."""
