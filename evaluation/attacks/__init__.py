"""Attacks on link keys and pseudonyms, as an analyst without a key would try them. Plain functions over arrays.

Every attack is told the truth only to count what it got right. Each has a positive control: the same code on an
encoding known to be weak must succeed, or the attack proves nothing.
"""
