"""From runs to a fitted family, its refits, draws and scores."""
