"""Risk scores: cohort, label, split, training, judging, scoring with reasons, alerts. Reads marts, never
identities.
"""
