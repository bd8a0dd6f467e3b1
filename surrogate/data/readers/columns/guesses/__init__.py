"""What the columns of roles probably are, as words to add to a command."""
