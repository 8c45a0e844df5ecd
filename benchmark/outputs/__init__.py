"""Tables, figures and statistics, from stored rows alone."""
