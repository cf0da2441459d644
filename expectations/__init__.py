"""Contract → rules → Great Expectations suite → verdict. Verdicts hold counts and places only."""
