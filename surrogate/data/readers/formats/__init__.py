"""One file a format, from bytes or frames to a table of text; `choose` picks one."""
