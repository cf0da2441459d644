"""Case notes to dated concepts; the text stays."""
