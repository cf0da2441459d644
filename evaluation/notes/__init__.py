"""Reading of case notes against labelled notes."""
