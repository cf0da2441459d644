"""Clerical review of linkage on the council's side: pairs shown to authorised reviewers, and their verdicts."""
