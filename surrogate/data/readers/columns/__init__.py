"""Which column is what: names, what the user says, guesses, and expressions."""
