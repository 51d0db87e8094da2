"""Tasks: which question is asked, on which split, with which score. They know no framework."""
