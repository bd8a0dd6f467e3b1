"""The `surrogate` command: arguments in, text or one JSON document out."""
